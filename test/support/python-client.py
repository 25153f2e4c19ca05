"""python-client.py PORT PATH SIZE: fetches by the standard library alone; prints one JSON list a response."""

import email
import hashlib
import http.client
import json
import sys
import urllib.error
import urllib.request

port, path, size = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
url = f"http://127.0.0.1:{port}{path}"


def show(what, status, content_range, body):
    print(json.dumps([what, status, content_range, hashlib.sha256(body).hexdigest()]))


def by_http_client(connection, value):
    connection.request("GET", path, headers={"Range": f"bytes={value}"})
    response = connection.getresponse()
    return response, response.read()


connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
for value in ("0-0", "4095-4096", f"1000000-{size - 2}", "-65537"):
    response, body = by_http_client(connection, value)
    show(value, response.status, response.headers["Content-Range"], body)

response, body = by_http_client(connection, "5-1004,70000-170000,-777")
parts = email.message_from_bytes(b"Content-Type: " + response.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
for part in parts.get_payload():
    show("part", response.status, part["Content-Range"], part.get_payload(decode=True))
connection.close()

with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=12345-7654321"}), timeout=10) as opened:
    show("urllib", opened.status, opened.headers["Content-Range"], opened.read())
with urllib.request.urlopen(url, timeout=10) as opened:
    show("whole", opened.status, opened.headers["Content-Range"], opened.read())
try:
    urllib.request.urlopen(urllib.request.Request(url, headers={"Range": f"bytes={size}-"}), timeout=10)
except urllib.error.HTTPError as error:
    show("outside", error.code, error.headers["Content-Range"], b"")
    error.close()
