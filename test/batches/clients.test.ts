import { batch } from '../support/batch.ts';

batch('shipped', 'clients/*.test.ts');
