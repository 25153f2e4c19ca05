#!/usr/bin/env bash
# Linux 6.13 and later (multigrain timestamps): where somebody has looked at a file's times (stat) since its last change, and
# that was within the same tick, its next change is stamped by the exact clock, while time(2) and CLOCK_REALTIME_COARSE
# tell that of the tick, up to 10 ms ago. So a file that was just written can have an mtime that time(2) has not reached,
# also in whole seconds. A server that compares the two, to tell of no Last-Modified in the future (RFC 9110 8.8.2.1), takes
# such a file for one of the future, and its Date can be before its Last-Modified. By CLOCK_REALTIME no mtime is ahead.
#
# Seen on Linux 6.18, tmpfs:
#   mtime ahead of time(2)'s clock in most of 300 writes, of CLOCK_REALTIME in 0
#   a second that time(2) had not reached, within 20 tries: yes
#
# Exits 0 when that is so, 1 when it has changed. Needs python3, and Linux 6.13 or later.
set -euo pipefail
exec python3 - <<'PY'
import ctypes, os, sys, tempfile, time

COARSE = 5  # CLOCK_REALTIME_COARSE
WRITES = 300
libc = ctypes.CDLL(None)
libc.time.restype = ctypes.c_long
folder = '/dev/shm' if os.path.isdir('/dev/shm') else None


def write(fd, path):
    os.pwrite(fd, b'x', 0)
    return time.clock_gettime_ns(COARSE), time.clock_gettime_ns(time.CLOCK_REALTIME), os.stat(path).st_mtime_ns


def leads(fd, path):
    """How often the mtime of a write is ahead of the coarse clock, and of the exact one, right behind it."""
    coarse = exact = 0
    for _ in range(WRITES):
        write(fd, path)
        now, precise, mtime = write(fd, path)
        coarse += mtime > now
        exact += mtime > precise
        time.sleep(0.0007)
    return coarse, exact


def is_second_early(fd, path):
    """Writes twice where a second begins, until the second one has a second that time(2) tells only later."""
    for _ in range(20):
        edge = int(time.time()) + 1
        while time.time() < edge:
            pass
        write(fd, path)
        os.pwrite(fd, b'x', 0)
        told = libc.time(None)
        if int(os.stat(path).st_mtime) > told:
            return True
    return False


with tempfile.NamedTemporaryFile(dir=folder) as file:
    coarse, exact = leads(file.fileno(), file.name)
    early = is_second_early(file.fileno(), file.name)
most = 'most' if coarse > WRITES / 2 else f'{coarse}'
print(f"mtime ahead of time(2)'s clock in {most} of {WRITES} writes, of CLOCK_REALTIME in {exact}")
print(f"a second that time(2) had not reached, within 20 tries: {'yes' if early else 'no'}")
sys.exit(0 if coarse > WRITES / 2 and exact == 0 and early else 1)
PY
