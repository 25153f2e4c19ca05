import { batch } from '../support/batch.ts';

batch('shipped', 'integration/writing/[a-o]*.test.ts');
