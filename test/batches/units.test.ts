import { batch } from '../support/batch.ts';

batch('shipped', '{command,http,limits,native-shim,node,package,pmem,prove,range,region,relay,support}/**/*.test.ts');
