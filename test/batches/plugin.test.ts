import { batch } from '../support/batch.ts';

batch('shipped', 'plugin/*.test.ts');
