#!/usr/bin/env bash
# Linux: bytes of a tmpfs file that sendfile(2) has put in a local receiver's queue survive a punch of the file
# (FALLOC_FL_PUNCH_HOLE) where the file keeps them in single pages: these leave the file, and the queue has them still.
# Where they are in a huge page that somebody has made of the file, a smaller punch zeroes them where they are, and the
# receiver reads zeros. A process that may only read the file can make that huge page (madvise MADV_COLLAPSE), also on a
# mount with huge=never and with shmem_enabled at its default `never`.
#
# Seen on Linux 6.18:
#   single pages: the receiver reads 65536 old bytes and 0 zeros
#   a huge page, made by a reader: the receiver reads 0 old bytes and 65536 zeros
#
# Exits 0 when that is so, 1 when it has changed. Needs python3, Linux 6.1, huge pages of 2 MiB (x86), a tmpfs at /dev/shm.
set -euo pipefail
exec python3 - <<'PY'
import ctypes, fcntl, mmap, os, socket, struct, sys, tempfile, time

HUGE, SIZE = 2 << 20, 65536
SIOCOUTQ, KEEP_SIZE, PUNCH_HOLE, MADV_COLLAPSE, MAP_FIXED = 0x5411, 1, 2, 25, 0x10
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def collapse(path):
    fd = os.open(path, os.O_RDONLY)
    reserved = libc.mmap(None, 2 * HUGE, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    window = (reserved + HUGE - 1) // HUGE * HUGE
    libc.mmap(window, HUGE, mmap.PROT_READ, mmap.MAP_SHARED | MAP_FIXED, fd, 0)
    if libc.madvise(window, HUGE, MADV_COLLAPSE) != 0:
        sys.exit('madvise(MADV_COLLAPSE): ' + os.strerror(ctypes.get_errno()))
    libc.munmap(ctypes.c_void_p(reserved), ctypes.c_size_t(2 * HUGE))
    os.close(fd)


def received(prepare):
    with tempfile.NamedTemporaryFile(dir='/dev/shm') as file, socket.create_server(('127.0.0.1', 0)) as listener:
        os.pwrite(file.fileno(), b'o' * HUGE, 0)
        prepare(file.name)
        reader = socket.create_connection(listener.getsockname())
        sender, _ = listener.accept()
        sent = 0
        while sent < SIZE:
            sent += os.sendfile(sender.fileno(), file.fileno(), sent, SIZE - sent)
        while struct.unpack('i', fcntl.ioctl(sender, SIOCOUTQ, b'    '))[0]:
            time.sleep(0.001)
        if libc.fallocate(file.fileno(), KEEP_SIZE | PUNCH_HOLE, 0, SIZE) != 0:
            sys.exit('fallocate: ' + os.strerror(ctypes.get_errno()))
        sender.close()
        text = b''
        while part := reader.recv(SIZE):
            text += part
        reader.close()
    return text.count(b'o'), text.count(b'\0')


small, huge = received(lambda path: None), received(collapse)
print(f'single pages: the receiver reads {small[0]} old bytes and {small[1]} zeros')
print(f'a huge page, made by a reader: the receiver reads {huge[0]} old bytes and {huge[1]} zeros')
sys.exit(0 if small == (SIZE, 0) and huge == (0, SIZE) else 1)
PY
