import { batch } from '../support/batch.ts';

batch('shipped', '{command,http,native-shim,node,pmem,prove,range,region,relay,support}/**/*.test.ts');
