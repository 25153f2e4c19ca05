#!/usr/bin/env bash
# Linux: a hole of a file on tmpfs costs no memory when it is read by pread(2) or sent by sendfile(2): both give the
# kernel's page of zeros. Read through a shared mapping, be it read-only, each page of it is allocated for good, counts
# against the mount's size and the memory cgroup, and shows in st_blocks. So a reader who maps a sparse file can fill the
# file system.
#
# Seen on Linux 6.18:
#   pread: 0 KiB taken
#   sendfile: 0 KiB taken
#   a read-only shared mapping: 1024 KiB taken
#
# Exits 0 when that is so, 1 when it has changed. Needs python3 and a tmpfs at /dev/shm.
set -euo pipefail
exec python3 - <<'PY'
import mmap, os, socket, sys, tempfile

SIZE, PAGE = 1 << 20, 4096


def by_pread(fd):
    os.pread(fd, SIZE, 0)


def by_sendfile(fd):
    ours, theirs = socket.socketpair()
    sent = 0
    while sent < SIZE:
        sent += os.sendfile(ours.fileno(), fd, sent, PAGE)
        theirs.recv(PAGE, socket.MSG_WAITALL)
    ours.close()
    theirs.close()


def by_mapping(fd):
    with mmap.mmap(fd, SIZE, mmap.MAP_SHARED, mmap.PROT_READ) as mapping:
        sum(mapping[at] for at in range(0, SIZE, PAGE))


def taken(read):
    with tempfile.TemporaryFile(dir='/dev/shm') as file:
        file.truncate(SIZE)
        fd = os.open(f'/proc/self/fd/{file.fileno()}', os.O_RDONLY)
        read(fd)
        os.close(fd)
        return os.fstat(file.fileno()).st_blocks // 2


results = {'pread': taken(by_pread), 'sendfile': taken(by_sendfile), 'a read-only shared mapping': taken(by_mapping)}
for name, kibibytes in results.items():
    print(f'{name}: {kibibytes} KiB taken')
sys.exit(0 if list(results.values()) == [0, 0, SIZE // 1024] else 1)
PY
