#!/usr/bin/env bash
# Linux: sendfile(2) over loopback puts a file's own pages into the receiver's queue. A write with O_DIRECT that follows
# the acknowledgement of every byte leaves those as they are on ext4 and xfs, also in a hole: the file gets other pages.
# tmpfs and btrfs (with checksums, its default) take the same write, and put the bytes into the cached pages: the receiver
# reads them. open(2) says of O_DIRECT that I/O is "done directly to/from user-space buffers".
#
# Seen on Linux 6.18:
#   ext4: the receiver reads old bytes
#   ext4, a hole: the receiver reads old bytes
#   xfs: the receiver reads old bytes
#   tmpfs: the receiver reads new bytes
#   btrfs: the receiver reads new bytes
#
# Exits 0 when that is so, 1 when it has changed. Needs root, loop devices, python3, e2fsprogs, xfsprogs and btrfs-progs,
# and a tmpfs at /dev/shm.
set -euo pipefail
exec unshare --mount python3 - <<'PY'
import fcntl, mmap, os, socket, struct, subprocess, sys, tempfile, time

SIZE, SIOCOUTQ = 65536, 0x5411


def connected():
    listener = socket.create_server(('127.0.0.1', 0))
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    reader.connect(listener.getsockname())
    sender, _ = listener.accept()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    listener.close()
    return sender, reader


def send(sender, file):
    sent = 0
    while sent < SIZE:
        sent += os.sendfile(sender.fileno(), file, sent, SIZE - sent)
    while struct.unpack('i', fcntl.ioctl(sender, SIOCOUTQ, b'    '))[0]:
        time.sleep(0.001)


def write_directly(path):
    file = os.open(path, os.O_WRONLY | os.O_DIRECT)
    memory = mmap.mmap(-1, SIZE)  # It begins with a page.
    memory.write(b'n' * SIZE)
    if os.pwrite(file, memory, 0) != SIZE:
        sys.exit('the write was short')
    os.close(file)


def received(path, hole):
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    if hole:
        os.ftruncate(file, SIZE)
    else:
        os.pwrite(file, b'o' * SIZE, 0)
        os.fsync(file)
    sender, reader = connected()
    send(sender, file)
    write_directly(path)
    sender.close()
    text = b''
    while part := reader.recv(SIZE):
        text += part
    reader.close()
    os.close(file)
    return 'new' if text == b'n' * SIZE else 'old' if b'n' not in text else 'old and new'


def tried(kind, hole):
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        if kind == 'tmpfs':
            return received(folder + '/file', hole)
        image, mount = folder + '/image', folder + '/mount'
        os.mkdir(mount)
        with open(image, 'w') as file:
            file.truncate(512 << 20)
        subprocess.run(['mkfs.' + kind, '-q', image], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(['mount', '-o', 'loop', image, mount], check=True)
        try:
            return received(mount + '/file', hole)
        finally:
            subprocess.run(['umount', mount], check=True)


CASES = {
    'ext4': ('ext4', False, 'old'),
    'ext4, a hole': ('ext4', True, 'old'),
    'xfs': ('xfs', False, 'old'),
    'tmpfs': ('tmpfs', False, 'new'),
    'btrfs': ('btrfs', False, 'new'),
}
results = {name: tried(kind, hole) for name, (kind, hole, _) in CASES.items()}
for name, result in results.items():
    print(f'{name}: the receiver reads {result} bytes')
sys.exit(any(results[name] != expected for name, (_, _, expected) in CASES.items()))
PY
