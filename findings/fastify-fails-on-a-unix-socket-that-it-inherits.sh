#!/usr/bin/env bash
# systemd, and whoever restarts a server without a gap, opens the listening socket and passes its descriptor on. Node's
# http.Server listens by such a descriptor, of TCP or of a unix socket; of a unix socket it does not know the path then,
# and `address()` is null. Fastify's `listen({ fd })` reads properties of that: with a unix socket it throws a TypeError
# out of the event `listening`, so the promise that it gave is never settled, and the process ends unless it handles
# uncaught exceptions. With a TCP socket it resolves to the address. Whoever has such a socket has to have `app.server`
# listen, after `app.ready()`.
#
# Seen with fastify 5.12.8 on Node 20 and 24:
#   http unix: listens, address null
#   http tcp: listens, address known
#   fastify tcp: listens
#   fastify unix: TypeError out of the event, promise pending
#   fastify unix, by app.server.listen: listens
#
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --no-save fastify@5.12.8 >/dev/null
cat >server.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import Fastify from 'fastify';

const [kind] = process.argv.slice(2);
let thrown;
process.on('uncaughtException', (error) => {
  thrown = error;
});
if (kind === 'http') {
  const server = createServer();
  await once(server.listen({ fd: 3 }), 'listening');
  console.log(`listens, address ${server.address() === null ? 'null' : 'known'}`);
  process.exit();
}
const app = Fastify();
if (kind === 'server') {
  await app.ready();
  await once(app.server.listen({ fd: 3 }), 'listening');
  console.log('listens');
  process.exit();
}
const ended = await Promise.race([
  app.listen({ fd: 3 }).then(() => 'listens', (error) => `rejects with ${error.name}`),
  delay(3000, 'promise pending'),
]);
console.log(thrown ? `${thrown.name} out of the event, ${ended}` : ended);
process.exit();
JS
cat >pass.py <<'PY'
import os, socket, subprocess, sys
family, kind = sys.argv[1:]
if family == 'unix':
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind('socket')
else:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(('127.0.0.1', 0))
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
print(subprocess.run(['node', 'server.mjs', kind], close_fds=False, capture_output=True, text=True).stdout.strip())
PY
run() {
  rm -f socket
  python3 pass.py "$@"
}
seen="http unix: $(run unix http)
http tcp: $(run tcp http)
fastify tcp: $(run tcp fastify)
fastify unix: $(run unix fastify)
fastify unix, by app.server.listen: $(run unix server)"
echo "$seen"
expected='http unix: listens, address null
http tcp: listens, address known
fastify tcp: listens
fastify unix: TypeError out of the event, promise pending
fastify unix, by app.server.listen: listens'
[ "$seen" = "$expected" ] || { echo 'this has changed' >&2; exit 1; }
