/** Serves a folder with @fastify/static, as its argument says (listening.ts). @module */
import fastifyStatic from '@fastify/static';
import fastify from 'fastify';
import { isKnown, told } from './listening.ts';

const { folder, port, socketPath, logFile } = told;
const app = fastify({ logger: logFile !== undefined, forceCloseConnections: true });
app.addHook('onRequest', async (request, reply) => {
  if (!isKnown(request.headers.authorization)) await reply.code(401).send();
});
await app.register(fastifyStatic, { root: folder });
process.once('SIGTERM', () => void app.close());
await app.listen(socketPath === undefined ? { host: '127.0.0.1', port } : { path: socketPath });
