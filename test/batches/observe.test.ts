import { batch } from '../support/batch.ts';

batch('shipped', 'observe/*.test.ts', 'page/{feed,page-map,routes}.test.ts');
