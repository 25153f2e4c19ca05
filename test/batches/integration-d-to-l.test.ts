import { batch } from '../support/batch.ts';

batch('shipped', 'integration/{[d-k]*,la[!n]*,l[!a]*}.test.ts');
