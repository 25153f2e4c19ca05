"""Readers with tiny receive buffers that read slowly: nearly all of a response waits in the sender's queue.

narrow-readers.py JSON reads a region of self-describing pages until the time is over. Prints one line of JSON per
response: what it saw, as in test/support/snapshots.ts. `mptcp` more of them have sockets of MPTCP.
"""

import json
import random
import re
import socket
import sys
import threading
import time

PAGE = 4096
RECORD = 64
NOT_UNIFORM = -1
ZEROS = -2
IPPROTO_MPTCP = 262
DESCRIBED = re.compile(rb"page (\d{8}) writer \d{8} stamp (\d{10}) ")

play = json.loads(sys.argv[1])
printing = threading.Lock()


def now():
    return time.monotonic() * 1000


deadline = now() + play["milliseconds"]


def stamp_of(page, number):
    if not any(page):
        return ZEROS
    described = DESCRIBED.match(page)
    uniform = page[RECORD:] == page[:-RECORD]
    return int(described[2]) if uniform and described and int(described[1]) == number else NOT_UNIFORM


def connect(protocol):
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    if protocol != IPPROTO_MPTCP:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", play["port"]))
    return connection


def ask(connection, first, pages):
    byte_range = f"bytes={first * PAGE}-{(first + pages) * PAGE - 1}"
    fields = f"Host: 127.0.0.1:{play['port']}\r\nRange: {byte_range}\r\nConnection: close\r\n"
    connection.sendall(f"GET {play['path']} HTTP/1.1\r\n{fields}\r\n".encode())


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        # One by one: what comes after the head stays in the kernel.
        byte = connection.recv(1)
        if not byte:
            return None
        head += byte
    return head.decode("latin-1")


def read_body(connection, dice):
    body = b""
    pause = dice.choice([0, 0.001, 0.01])
    try:
        while chunk := connection.recv(16384):
            body += chunk
            time.sleep(pause)
    except ConnectionResetError:
        pass
    return body


def read_once(dice, protocol):
    # Sockets of MPTCP have the usual buffers, and wait with all that these hold.
    pages = dice.randint(256, 1024) if protocol == IPPROTO_MPTCP else dice.randint(4, 256)
    first = dice.randint(0, play["pages"] - pages)
    with connect(protocol) as connection:
        asked = now()
        ask(connection, first, pages)
        head = read_head(connection)
        headed = now()
        if head is None or not head.startswith("HTTP/1.1 206 "):
            return {"refused": head and head.split("\r\n")[0]}
        time.sleep(dice.uniform(0.05, 0.3))
        body = read_body(connection, dice)
    etag = re.search(r"(?im)^etag: *(\S+)", head)[1]
    whole = range(len(body) // PAGE)
    stamps = [stamp_of(body[at * PAGE : (at + 1) * PAGE], first + at) for at in whole]
    name = "mptcp" if protocol == IPPROTO_MPTCP else "narrow"
    seen = {"reader": name, "etag": etag, "asked": asked, "headed": headed}
    return {**seen, "extents": [{"firstPage": first, "stamps": stamps}], "short": len(body) < pages * PAGE}


def read_on(seed, protocol):
    dice = random.Random(seed)
    while True:
        line = json.dumps(read_once(dice, protocol))
        with printing:
            print(line, flush=True)
        if now() >= deadline:
            return


protocols = [socket.IPPROTO_TCP] * play["readers"] + [IPPROTO_MPTCP] * play["mptcp"]
threads = [threading.Thread(target=read_on, args=(play["seed"] + at, protocol)) for at, protocol in enumerate(protocols)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
