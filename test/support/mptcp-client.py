"""mptcp-client.py PORT PATH RANGE: a reader whose socket is one of MPTCP, as `mptcpize run` gives any program.

Asks at once, prints `asked`, and reads when a line comes on its standard input. Prints the status and SHA-256 of what it
got. Exits with 77 where this machine has no MPTCP.
"""

import hashlib
import socket
import sys

IPPROTO_MPTCP = 262

port, path, byte_range = int(sys.argv[1]), sys.argv[2], sys.argv[3]
try:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
except OSError as error:
    print(error, file=sys.stderr)
    sys.exit(77)
connection.settimeout(20)
connection.connect(("127.0.0.1", port))
fields = f"Host: 127.0.0.1:{port}\r\nRange: bytes={byte_range}\r\nConnection: close\r\n"
connection.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
print("asked", flush=True)
sys.stdin.readline()
answer = b""
while chunk := connection.recv(65536):
    answer += chunk
head, _, body = answer.partition(b"\r\n\r\n")
print(head.split()[1].decode(), hashlib.sha256(body).hexdigest())
