#!/usr/bin/env bash
# Linux: a client whose socket is one of MPTCP (as `mptcpize run` makes any program's), connected to a plain TCP listener,
# falls back to TCP. What arrives is moved from its TCP socket to the MPTCP socket at once. So inet_diag (what `ss` shows
# as Recv-Q) counts 0 unread bytes of it while its application has read nothing; the inode is a valid one. The answer
# names the protocol, INET_DIAG_ULP_INFO, to anyone who asked for INET_DIAG_INFO. A sender on the same machine that takes
# an empty Recv-Q for "all is read" is wrong about such a peer.
#
# Seen on Linux 6.18:
#   TCP: 5 unread bytes of 5, upper layer none
#   MPTCP: 0 unread bytes of 5, upper layer mptcp
#
# Exits 0 when that is so, 1 when it has changed. Needs python3 and net.mptcp.enabled=1.
set -euo pipefail
exec python3 - <<'PY'
import socket, struct, sys, time

IPPROTO_MPTCP, NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 262, 4, 20, 1
INET_DIAG_INFO, INET_DIAG_ULP_INFO, NLA_TYPE_MASK = 2, 19, 0x3FFF


def asked_about(address, peer):
    """Unread bytes, and the name of the upper-layer protocol, of the TCP socket at `address` that is connected to `peer`."""
    tuple_ = struct.pack('!HH', address[1], peer[1]) + socket.inet_aton(address[0]).ljust(16, b'\0')
    tuple_ += socket.inet_aton(peer[0]).ljust(16, b'\0') + struct.pack('=I', 0) + b'\xff' * 8
    head = struct.pack('=BBBBI', socket.AF_INET, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0, 0xFFFFFFFF)
    body = head + tuple_
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.send(struct.pack('=IHHII', 16 + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0) + body)
        answer = netlink.recv(8192)
    message, upper = answer[16:], 'none'
    unread = struct.unpack_from('=I', message, 56)[0]
    at = 72
    while at + 4 <= len(message):
        length, kind = struct.unpack_from('=HH', message, at)
        if kind & NLA_TYPE_MASK == INET_DIAG_ULP_INFO:
            upper = message[at + 8 : at + 8 + struct.unpack_from('=H', message, at + 4)[0] - 4].rstrip(b'\0').decode()
        at += (length + 3) // 4 * 4
    return unread, upper


def look(protocol):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as client:
            client.connect(listener.getsockname())
            server, _ = listener.accept()
            server.sendall(b'bytes')
            time.sleep(0.2)
            seen = asked_about(client.getsockname(), client.getpeername())
            assert client.recv(100) == b'bytes', 'the client had read nothing before'
            server.close()
            return seen


tcp, mptcp = look(socket.IPPROTO_TCP), look(IPPROTO_MPTCP)
print(f'TCP: {tcp[0]} unread bytes of 5, upper layer {tcp[1]}')
print(f'MPTCP: {mptcp[0]} unread bytes of 5, upper layer {mptcp[1]}')
sys.exit(0 if tcp == (5, 'none') and mptcp == (0, 'mptcp') else 1)
PY
