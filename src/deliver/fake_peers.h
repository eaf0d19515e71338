#pragma once
#include "base/memory.h"
#include "deliver/connection.h"
#include <stdio.h>
/*
 * fake_peers - what stands around a deliverer in its tests: a server that follows a script, a name server, a spool of a
 * few messages, a schedule that writes down every outcome.
 *
 * A script is lines:
 *   >TEXT    the server sends TEXT CRLF                 >>TEXT   TEXT alone, "^" in it is CRLF
 *   <TEXT    it expects this very line                  @        it takes content up to the lone dot; @N  of exactly N
 * octets &        what the client pipelines must be here already ?        nothing more may have come by now TLS      it
 * starts the server's handshake CLOSE    it closes in order     RESET  it breaks off     WAIT     it does nothing more
 * NUL  sends one NUL octet FLOOD N  sends N octets of 'x'  DRIP TEXT  sends TEXT one octet each 20 ms DEAF     reads no
 * more          NEXT     the rest is for the next connection
 */
struct fake_message {
    struct spool_message message;
    struct envelope envelope;
    struct recipient recipients[8];
    struct spool_recipient states[8];
    slice content;
    int fd;
    int loads;         /* minus releases */
    struct task *task; /* the waiting one */
    struct list waiting;
};
struct world {
    struct loop *loop;
    struct deliverer *deliverer;
    struct listener *listener;
    struct address address; /* of the server */
    const char *script;     /* the place of the connection that comes next */
    struct tls_context *server_tls;
    unsigned accepted;
    struct fake_message messages[8];
    size_t message_count;
    struct list waiting;
    struct connection *connection;
    unsigned opened, opens_max;
    struct destination destination;
    struct text log; /* outcomes and ends, a line each */
    bool load_later, load_fails;
    struct ipc_channel *mailbox;   /* what the deliverer is given */
    void (*asked)(struct world *); /* each time the queue was found empty; may be NULL */
};
/* The fake name server: rows until name is NULL. */
struct fake_name {
    const char *name;
    enum dns_result result;
    const char *mx;        /* "10 a.test,20 b.test"; "null"; NULL: not asked for MX */
    const char *addresses; /* "127.0.0.1,::1" */
};
extern const struct fake_name *fake_names;

void world_new(struct world *, const char *script, const struct deliver_params *);
struct fake_message *world_add_message(struct world *, size_t recipients, slice content);
/* Opens a connection and runs until the last one was closed and the server's end is through. */
void world_run(struct world *);
/* `wanted` may hold one "*": anything. */
void world_assert_log(const struct world *, const char *name, const char *wanted);
void world_free(struct world *); /* checks that every content was released */
