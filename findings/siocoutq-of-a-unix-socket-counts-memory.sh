#!/usr/bin/env bash
# Linux: SIOCOUTQ of a connected AF_UNIX stream socket tells how much memory the queued buffers take, not how many bytes
# the peer has not read (unix(7) calls it "the amount of unsent data"). It is more than the bytes, also after some were
# read, and goes down by whole buffers: a part that was read of a buffer does not show. It is 0 exactly when all was read.
#
# Seen on Linux 6.18:
#   262144 sent, none read: SIOCOUTQ is more than that
#   32768 of them read: SIOCOUTQ is still more than the 229376 that are left
#   all read: 0
#
# Exits 0 when that is so, 1 when it has changed. Needs python3.
set -euo pipefail
exec python3 - <<'PY'
import fcntl, socket, struct, sys

SIZE, PART, SIOCOUTQ = 262144, 32768, 0x5411


def queued(sender):
    return struct.unpack('i', fcntl.ioctl(sender, SIOCOUTQ, b'    '))[0]


sender, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SIZE)
sender.sendall(b'x' * SIZE)
sent = queued(sender)
reader.recv(PART, socket.MSG_WAITALL)
partly = queued(sender)
reader.recv(SIZE - PART, socket.MSG_WAITALL)
read = queued(sender)
print(f'{SIZE} sent, none read: {sent}; {PART} of them read: {partly}; all read: {read}')
sys.exit(0 if sent > SIZE and partly > SIZE - PART and read == 0 else 1)
PY
