import { batch } from '../support/batch.ts';

batch('shipped', 'integration/[a-c]*.test.ts');
