"""Runs a program with listening sockets that it inherits, as systemd or a shell would start it.

inherit.py SOCKET... -- PROGRAM ARGUMENT...: SOCKET is tcp, unix:PATH, or bound (a TCP socket that does not listen);
{N} in an argument is the descriptor of the Nth of them.
"""
import os
import socket
import sys

parted = sys.argv.index("--")
descriptors = []
for kind in sys.argv[1:parted]:
    made = socket.socket(socket.AF_UNIX if kind.startswith("unix:") else socket.AF_INET)
    made.bind(kind[5:] if kind.startswith("unix:") else ("127.0.0.1", 0))
    if kind != "bound":
        made.listen(16)
    made.set_inheritable(True)
    descriptors.append(made.detach())
arguments = [argument.format(*descriptors) for argument in sys.argv[parted + 1 :]]
os.execvp(arguments[0], arguments)
