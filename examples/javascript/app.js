/**
 * The same from JavaScript, with pagerelay's own routes as well:
 *
 *   mkdir -p /dev/shm/weights && head -c 1G /dev/urandom > /dev/shm/weights/model.bin
 *   node examples/javascript/app.js /dev/shm/weights
 *   curl -r 4096-8191 http://127.0.0.1:3000/weights/model.bin | sha256sum
 *   curl -r 4096-8191 http://127.0.0.1:3000/files/regions/model.bin | sha256sum
 *   curl http://127.0.0.1:3000/files/metrics | grep pagerelay_sent_bytes_total
 *
 * The folder is the first argument, the port is in PORT (default 3000). Inside a clone `npm run build` comes first,
 * since 'pagerelay' is then the clone itself.
 */
import process from 'node:process';
import fastify from 'fastify';
import { pagerelay } from 'pagerelay';

const app = fastify({ logger: true });

await app.register(pagerelay, { dir: process.argv[2] ?? '/dev/shm/weights', prefix: '/files', cors: true });

app.get('/weights/:name', (request, reply) => {
  reply.header('cache-control', 'public, max-age=31536000, immutable').header('x-served-by', 'javascript');
  return reply.sendRegion(request.params.name);
});

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) });

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void app.close());
