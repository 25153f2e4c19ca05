import { batch } from '../support/batch.ts';

batch('shipped', 'integration/[t-z]*.test.ts');
