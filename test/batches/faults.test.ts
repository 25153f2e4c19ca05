import { batch } from '../support/batch.ts';

batch('testing', '{integration,region}/**/*.test.ts');
