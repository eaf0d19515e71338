#pragma once
#include "config/config.h"
/*
 * listeners - the bound sockets of a configuration: one for each address and loop (SO_REUSEPORT), kept open by the
 * supervisor so that a restart of mta refuses no connection.
 */
struct bound_socket {
    char *name;              /* the listener's; "unix:control", "unix:accounts" */
    enum listener_role role; /* of a TCP listener */
    unsigned loop;
    int fd;
};
struct bound_sockets {
    struct bound_socket *items;
    size_t count;
};
/* False and *error, naming the port and, where it can be found out, the process that has it. */
MUST_CHECK bool listeners_open(struct bound_sockets *, const struct config *, unsigned loops, struct text *error);
/* A Unix socket of DIR/run (the working folder is DIR), owned by `uid`. Who may connect: programs/ctl/protocol.h. */
MUST_CHECK bool listeners_open_unix(struct bound_sockets *, const char *name, const char *path, unsigned mode,
                                    unsigned uid, struct text *error);
void listeners_close(struct bound_sockets *);
