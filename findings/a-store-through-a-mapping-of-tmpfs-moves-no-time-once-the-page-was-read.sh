#!/usr/bin/env bash
# Linux: mmap(2) says that st_mtime and st_ctime of a file are updated after a store to a shared mapping and before the next
# msync(2). On tmpfs they are only when the store itself brings the page into that mapping. A load of the page before
# it, a load of a neighbour (the fault brings pages around it), MAP_POPULATE or an earlier store has it there,
# writable, and then no store ever moves a time: not with fsync(2) between, nor with msync(2) after it. Whoever tells
# versions by times and size (entity-tags, rsync, make, backups) takes such a file for unchanged; the same program on
# ext4 moves them, also by the first store after each fsync(2).
#
# Seen on Linux 6.18 (moved: mtime and ctime; a store to one byte of a file of 64 KiB):
#   the page is              tmpfs     ext4
#   not in the mapping yet   moved     moved
#   loaded from before       not       moved
#   beside a loaded one      not       moved
#   populated                not       moved
#   stored to, then fsync    not       moved
#   loaded from, msync after not       moved
#
# Exits 0 when that is so, 1 when it has changed, 77 without a tmpfs at /dev/shm. Needs python3; another file system than
# ext4 at ${TMPDIR:-/tmp} is shown, not judged.
set -euo pipefail
exec python3 - <<'PY'
import mmap, os, sys, tempfile, time

SIZE, AT = 65536, 8192


def nothing(mapping, fd):
    pass


def load(mapping, fd):
    return mapping[AT]


def load_beside(mapping, fd):
    return mapping[0]


def store_and_sync(mapping, fd):
    mapping[AT] = ord('s')
    os.fsync(fd)


CASES = {
    'not in the mapping yet': (nothing, 0, False),
    'loaded from before': (load, 0, False),
    'beside a loaded one': (load_beside, 0, False),
    'populated': (nothing, mmap.MAP_POPULATE, False),
    'stored to, then fsync': (store_and_sync, 0, False),
    'loaded from, msync after': (load, 0, True),
}


def times(fd):
    stat = os.fstat(fd)
    return stat.st_mtime_ns, stat.st_ctime_ns


def moved(folder, before, flag, sync):
    with tempfile.TemporaryFile(dir=folder) as file:
        fd = file.fileno()
        os.pwrite(fd, b'o' * SIZE, 0)
        os.fsync(fd)
        with mmap.mmap(fd, SIZE, flags=mmap.MAP_SHARED | flag) as mapping:
            before(mapping, fd)
            earlier = times(fd)
            time.sleep(0.05)  # several ticks of the clock that times are taken from
            mapping[AT] = ord('n')
            if sync:
                mapping.flush()
            later = times(fd)
        if os.pread(fd, 1, AT) != b'n':
            sys.exit('the store is not in the file')
    return [new != old for new, old in zip(later, earlier)]


def file_system(folder):
    device = os.stat(folder).st_dev
    with open('/proc/self/mounts') as mounts:
        points = [line.split()[1:3] for line in mounts]
    return next((kind for point, kind in reversed(points) if os.path.exists(point) and os.stat(point).st_dev == device), '?')


def main():
    same = True
    for folder in ('/dev/shm', tempfile.gettempdir()):
        kind = file_system(folder)
        for name, case in CASES.items():
            seen = moved(folder, *case)
            print(f'{kind}: {name}: mtime {"moved" if seen[0] else "not"}, ctime {"moved" if seen[1] else "not"}')
            expected = kind == 'ext4' or name == 'not in the mapping yet'
            if kind in ('tmpfs', 'ext4') and seen != [expected, expected]:
                same = False
        if folder == '/dev/shm' and kind != 'tmpfs':
            print('missing: a tmpfs at /dev/shm', file=sys.stderr)
            return 77
    return 0 if same else 1


sys.exit(main())
PY
