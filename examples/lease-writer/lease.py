"""Overwrites bytes of a region through a mapping of its file, under a lease. Python 3.9, standard library only.

  mkdir -p /dev/shm/weights && head -c 64M /dev/urandom > /dev/shm/weights/model.bin
  pagerelay serve --dir /dev/shm/weights --writable
  head -c 1M /dev/zero | python3 lease.py http://127.0.0.1:8080 model.bin /dev/shm/weights/model.bin 4096

The bytes come from standard input. Where the service wants a token, it is in PAGERELAY_TOKEN.
Exit codes: 0 written and durable; 1 not, or not for certain; 2 usage.
"""

import argparse
import http.client
import json
import mmap
import os
import sys
import time
import urllib.parse

CHUNK = 1 << 20  # bytes between two looks at the clock: far less than a lease lasts, on the slowest disk as well
WAIT = 5  # seconds that the service may let one request for a lease wait
PATIENCE = 60  # seconds in all, for readers and writers that have the range


class Refused(Exception):
    """The service answered with an error."""

    def __init__(self, response, body):
        super().__init__(f"{response.status} {body.decode(errors='replace')}")
        self.retry_after = response.headers["Retry-After"]


class LeaseLost(Exception):
    """The lease has ended, or may have: not one more byte may be stored."""


class Service:
    """A pagerelay on this machine."""

    def __init__(self, origin, token=None):
        self.host = urllib.parse.urlsplit(origin).netloc
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method, path, content=None, headers=None):
        """One request with a JSON body, on a connection of its own; gives the JSON that comes back."""
        body = None if content is None else json.dumps(content)
        fields = {**self.headers, **(headers or {}), **({"Content-Type": "application/json"} if body else {})}
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise Refused(response, answer)
        return json.loads(answer) if answer else None


class Lease:
    """An exclusive hold on the pages of a range; first and last byte, both inclusive.

    Once it is granted nobody is being sent these pages: who began to read before has all bytes, and who begins now waits.
    Readers wait 10 s at most, so have your bytes at hand before you ask, and ask for no more than you change.
    """

    def __init__(self, service, region, first, last, ttl):
        self.service, self.ttl = service, ttl
        # From before the question, and by a clock that nobody sets: it can end here earlier than there, never later.
        self.ends = time.monotonic() + ttl
        wanted = {"region": region, "first": first, "last": last, "ttlSeconds": ttl, "owner": "lease.py"}
        granted = service.ask("POST", "/leases", wanted, {"Prefer": f"wait={WAIT}"})
        self.id, self.path = granted["id"], granted["path"]

    def keep(self):
        """To be called before every store. Renews the lease when half of its time is over.

        Nothing can hold back a process whose lease has expired: the mapping takes whatever is stored, while readers are
        being sent those pages again. So whoever can't renew must stop at once, and so must this program.
        """
        now = time.monotonic()
        if now < self.ends - self.ttl / 2:
            return
        try:
            self.service.ask("PUT", f"/leases/{self.id}", {"ttlSeconds": self.ttl})
        except (Refused, OSError, http.client.HTTPException) as error:
            raise LeaseLost(f"it could not be renewed: {error}") from error
        self.ends = now + self.ttl

    def release(self):
        """Lets readers go on. After msync, never before: they would be told of bytes that a crash can take back."""
        try:
            self.service.ask("DELETE", f"/leases/{self.id}")
        except (Refused, OSError, http.client.HTTPException) as error:
            # This process may have been stopped for so long that it expired between a look at the clock and a store.
            raise LeaseLost(f"it could not be released: {error}") from error


def take_lease(service, region, first, last, ttl):
    """Asks until the range can be had: 409 is readers and writers who still have it, 503 another service's."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return Lease(service, region, first, last, ttl)
        except Refused as error:
            if error.retry_after is None or time.monotonic() > give_up:
                raise
            time.sleep(int(error.retry_after))


def is_file_at(path, file):
    """Whether a path leads to an open file."""
    there, here = os.stat(path), os.fstat(file.fileno())
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def store(lease, mapping, begin, content):
    """Copies bytes into a mapping and makes them durable, piece by piece, so that no step takes long.

    A store can also end in SIGBUS, which ends the process and lets the lease expire: when somebody cuts the file short
    without asking, or when a hole is to be filled and the disk is full.
    """
    for at in range(0, len(content), CHUNK):
        piece = content[at : at + CHUNK]
        first, end = begin + at, begin + at + len(piece)
        lease.keep()
        mapping[first:end] = piece
        # msync(MS_SYNC), of whole pages. Right everywhere, on fsdax as well, where it flushes the processor's caches.
        # Who maps fsdax with MAP_SYNC can flush them alone (libpmem does), which is faster; Python has no way to.
        page = first - first % mmap.PAGESIZE
        mapping.flush(page, end - page)


def overwrite(service, region, path, first, content, ttl=30):
    """Overwrites bytes of a region, whose file is at `path`. No reader gets a mixture, unless LeaseLost says so."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        lease = take_lease(service, region, first, first + len(content) - 1, ttl)
        try:
            # A whole PUT gives the region another file. Opened before the lease and still there after it, this one is
            # the one that is leased; otherwise the stores would go where nobody looks, or under others' readers.
            if not is_file_at(lease.path, file):
                raise RuntimeError(f"{path} is not, or no longer, the file of {region}")
            store(lease, mapping, first, content)
        except LeaseLost:
            raise
        except BaseException:
            # What is there now is a part of the new bytes: readers may as well go on, the version has moved.
            lease.release()
            raise
        lease.release()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("origin", help="http://HOST:PORT of the service")
    parser.add_argument("region")
    parser.add_argument("file", help="the region's file")
    parser.add_argument("first", type=int, help="where to write, in bytes")
    parser.add_argument("--ttl", type=float, default=30, help="seconds after which the lease ends if this program dies")
    options = parser.parse_args()
    service = Service(options.origin, os.environ.get("PAGERELAY_TOKEN"))
    content = sys.stdin.buffer.read()
    try:
        overwrite(service, options.region, options.file, options.first, content, options.ttl)
    except LeaseLost as lost:
        sys.exit(f"the lease was lost, and readers may have got a mixture: {lost}")
    except (Refused, RuntimeError, OSError, http.client.HTTPException) as error:
        sys.exit(f"not written: {error}")
    print(f"{len(content)} bytes written to {options.region} from {options.first} on")


if __name__ == "__main__":
    main()
