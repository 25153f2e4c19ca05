/** A service in a worker thread: options as its data; posts its port. @module */
import { parentPort, workerData } from 'node:worker_threads';
import type { ServiceOptions } from '../../src/service.ts';
import { startService } from './service.ts';

const { port } = await startService({ after() {} }, workerData as Partial<ServiceOptions>);
parentPort?.postMessage(port);
