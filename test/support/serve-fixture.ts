/** A service in a process of its own: options as JSON in the first argument; prints its port. @module */
import type { AddressInfo } from 'node:net';
import { createService, type ServiceOptions } from '../../src/service.ts';
import { serviceDefaults } from './service.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as Partial<ServiceOptions>;
const service = createService({ ...serviceDefaults, drain: 0, ...options });
await service.app.listen({ host: '0.0.0.0', port: 0 });
console.log(`port ${(service.app.server.address() as AddressInfo).port}`);
