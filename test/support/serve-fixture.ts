/** A service in a process of its own: options as JSON in the first argument; prints its port. @module */
import type { AddressInfo } from 'node:net';
import { createService, type ServiceOptions } from '../../src/service.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as Partial<ServiceOptions>;
const service = createService({
  dir: undefined,
  regions: [],
  engine: 'auto',
  unaskable: [],
  lanes: 1,
  maxHold: 30,
  drain: 0,
  logLevel: 'silent',
  ...options,
});
await service.app.listen({ host: '0.0.0.0', port: 0 });
console.log(`port ${(service.app.server.address() as AddressInfo).port}`);
