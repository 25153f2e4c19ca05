import { batch } from '../support/batch.ts';

batch('shipped', 'integration/writing/[p-z]*.test.ts');
