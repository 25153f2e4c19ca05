/**
 * An application of its own with pagerelay in it: a route that sends files from shared memory without copying them.
 *
 *   mkdir -p /dev/shm/weights && head -c 1G /dev/urandom > /dev/shm/weights/model.bin
 *   node examples/plugin-app/app.ts /dev/shm/weights
 *   curl -r 4096-8191 http://127.0.0.1:3000/weights/model.bin | sha256sum
 *   curl http://127.0.0.1:3000/held
 *
 * The folder is the first argument, the port is in PORT (default 3000). Node runs this TypeScript as it is. Inside a
 * clone `npm run build` comes first, since 'pagerelay' is then the clone itself.
 */
import fastify from 'fastify';
import { pagerelay } from 'pagerelay';

const app = fastify({ logger: true });

// Without its own routes: here /weights/… decides what is served, and how it is labelled.
await app.register(pagerelay, { dir: process.argv[2] ?? '/dev/shm/weights', routes: false });

app.get<{ Params: { name: string } }>('/weights/:name', (request, reply) => {
  reply.header('cache-control', 'public, max-age=31536000, immutable').header('x-served-by', 'plugin-app');
  return reply.sendRegion(request.params.name, { contentType: 'application/octet-stream' });
});

// What pagerelay does can be asked for anywhere.
app.get('/held', async () => {
  const { references, heldBytes, sentBytes } = app.pagerelay.relay.counters();
  return { references, heldBytes, sentBytes };
});

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) });

// Closing waits for readers that have not read all of it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close());
