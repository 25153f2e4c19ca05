import { batch } from '../support/batch.ts';

batch('shipped', 'integration/[m-s]*.test.ts');
