/** `fastify-static.ts FOLDER`: serves a folder with @fastify/static. Prints where it listens. @module */
import fastifyStatic from '@fastify/static';
import fastify from 'fastify';

const [root = '.'] = process.argv.slice(2);
const app = fastify({ logger: false, forceCloseConnections: true });
await app.register(fastifyStatic, { root });
process.once('SIGTERM', () => void app.close());
console.log(`listens on ${await app.listen({ host: '127.0.0.1', port: 0 })}`);
