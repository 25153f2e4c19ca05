import { batch } from '../support/batch.ts';

batch('shipped', 'loadtest/*.test.ts');
