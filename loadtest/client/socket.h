/* Connections to a server on this machine. */
#ifndef PAGERELAY_LOADTEST_SOCKET_H
#define PAGERELAY_LOADTEST_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Lets this process open so many descriptors and some more. Exits with 1 when it may not. */
void socket_allow(unsigned count);

/*
 * Connects to 127.0.0.1. `number` picks one of SOURCES addresses to come from: each has its own ports, so that
 * connections that are closed by the thousand, and wait for a minute then (TIME-WAIT), don't use them up.
 * A descriptor or -errno.
 */
int socket_connect(uint16_t port, uint64_t number);

enum { SOURCES = 64 };

/* Whether a connection is open and nothing has come on it that was not read. */
bool socket_is_quiet(int fd);

#endif
