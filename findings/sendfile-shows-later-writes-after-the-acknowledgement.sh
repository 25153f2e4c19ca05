#!/usr/bin/env bash
# Linux: sendfile(2) from tmpfs to a TCP socket over loopback puts the file's own pages into the receiver's queue. Also
# when TCP has acknowledged every byte (SIOCOUTQ is 0), a later write to the file changes what the receiver reads, as
# long as it has not read it. After a punch (FALLOC_FL_PUNCH_HOLE) and a write it reads the old bytes: the file has
# fresh pages then, and the queue keeps the old ones. sendfile(2) only says that the file must not change "until the
# reader has consumed the transferred data".
#
# Seen on Linux 6.18:
#   written after the acknowledgement: the receiver reads 65536 new bytes
#   punched out and written after it: the receiver reads 65536 old bytes
#
# Exits 0 when that is so, 1 when it has changed. Needs python3 and a tmpfs at /dev/shm without huge pages.
set -euo pipefail
exec python3 - <<'PY'
import ctypes, fcntl, os, socket, struct, sys, tempfile, time

SIZE, SIOCOUTQ, KEEP_SIZE, PUNCH_HOLE = 65536, 0x5411, 1, 2
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


def received(change):
    listener = socket.create_server(('127.0.0.1', 0))
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    reader.connect(listener.getsockname())
    sender, _ = listener.accept()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with tempfile.TemporaryFile(dir='/dev/shm') as file:
        os.pwrite(file.fileno(), b'o' * SIZE, 0)
        sent = 0
        while sent < SIZE:
            sent += os.sendfile(sender.fileno(), file.fileno(), sent, SIZE - sent)
        unacknowledged = 1
        while unacknowledged:
            unacknowledged = struct.unpack('i', fcntl.ioctl(sender, SIOCOUTQ, b'    '))[0]
            time.sleep(0.001)
        change(file.fileno())
        sender.close()
        text = b''
        while part := reader.recv(SIZE):
            text += part
    reader.close()
    listener.close()
    return text.count(b'n'), text.count(b'o')


def write(fd):
    os.pwrite(fd, b'n' * SIZE, 0)


def punch_and_write(fd):
    if libc.fallocate(fd, KEEP_SIZE | PUNCH_HOLE, 0, SIZE) != 0:
        sys.exit('fallocate: ' + os.strerror(ctypes.get_errno()))
    write(fd)


written, punched = received(write), received(punch_and_write)
print(f'written after the acknowledgement: the receiver reads {written[0]} new bytes, {written[1]} old ones')
print(f'punched out and written after it: the receiver reads {punched[0]} new bytes, {punched[1]} old ones')
sys.exit(0 if written == (SIZE, 0) and punched == (0, SIZE) else 1)
PY
