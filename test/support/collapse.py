"""collapse.py PATH OFFSET...: makes huge pages of a file that it only reads (MADV_COLLAPSE, Linux 6.1).

Prints, for each offset, 0 or the number of the error. `collapse.py --on-and-on PATH OFFSET...` does so until it is killed.
"""

import ctypes
import itertools
import mmap
import os
import sys
import time

HUGE = 2 << 20
MADV_COLLAPSE = 25
PROT_NONE, MAP_FIXED, MAP_NORESERVE = 0, 0x10, 0x4000

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

on_and_on = sys.argv[1] == "--on-and-on"
path, *offsets = sys.argv[2:] if on_and_on else sys.argv[1:]
fd = os.open(path, os.O_RDONLY)
flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
reserved = libc.mmap(None, 2 * HUGE, PROT_NONE, flags, -1, 0)
window = (reserved + HUGE - 1) // HUGE * HUGE
for offset in map(int, itertools.cycle(offsets) if on_and_on else offsets):
    mapped = libc.mmap(window, HUGE, mmap.PROT_READ, mmap.MAP_SHARED | MAP_FIXED, fd, offset)
    if mapped != window:
        sys.exit("the file can not be mapped")
    if on_and_on:
        time.sleep(0.002)  # others need the processor too
    print(0 if libc.madvise(window, HUGE, MADV_COLLAPSE) == 0 else ctypes.get_errno(), flush=True)
