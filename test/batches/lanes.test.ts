import { batch } from '../support/batch.ts';

batch('shipped', 'integration/lanes-*.test.ts');
