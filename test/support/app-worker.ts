/** An application with pagerelay in a worker thread: the plugin's options as its data; posts its port. @module */
import { parentPort, workerData } from 'node:worker_threads';
import type { PagerelayOptions } from '../../src/plugin.ts';
import { serveModel, startApp } from './app.ts';

const { app, port } = await startApp({ after() {} }, workerData as PagerelayOptions, serveModel);
parentPort?.once('message', () => void app.close());
parentPort?.postMessage(port);
