/* Listening sockets: one that only a device reaches, and what one is that was inherited. */
#ifndef PR_LISTENING_H
#define PR_LISTENING_H

#include <stdbool.h>

#include "wire/peer.h"

/* A path of struct sockaddr_un, which need not end there, and its end. */
enum { PR_UNIX_PATH = 109 };

/* The family of a listening socket of TCP, or of streams of AF_UNIX; -EINVAL of any other socket, or -errno. */
int pr_listening_family(int fd);

/*
 * Listens for TCP at this address, for what arrives by this network device alone: so two sockets can have one port,
 * each of a card of its own. The descriptor, which exec closes; or -errno, -ENODEV where there is no such device.
 */
int pr_listen_by(const char *device, const union pr_address *address);

/* The path that a listening socket of AF_UNIX has been bound to; empty where it has none, or an abstract name. */
void pr_listening_path(int fd, char path[PR_UNIX_PATH]);

#endif
