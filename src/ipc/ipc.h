#pragma once
#include "base/text.h"
#include "io/loop.h"
#include "ipc/messages.def"
/*
 * ipc - typed messages between our own processes over socket pairs, with descriptors where needed.
 *
 * A message is a struct made from messages.def: `struct ipc_verify_password { uint64_t request; slice name; ... }`,
 * sent by ipc_send_verify_password(channel, &m), received by a handler table. Slices point into the channel's buffer
 * and live for the handler's call. Everything is checked: a malformed message ends the channel (on_end), for the peer
 * may be taken over.
 *
 * A message without a handler here is refused in the same way: it is not for this process.
 *
 * Sending never blocks and gathers to one system call a turn; ipc_pending tells how much waits (the owner bounds it).
 * Descriptors: ipc_send_* takes them over and closes them once they are sent (or cannot be).
 * Closing:     what waits is dropped by ipc_channel_free; ipc_flush before it sends it. Freeing from within a handler
 * is fine.
 */
#define IPC_U64(name)   uint64_t name;
#define IPC_BOOL(name)  bool name;
#define IPC_BYTES(name) slice name;
#define IPC_FD(name)    int name; /* the receiver owns it; -1: none */
#define IPC_STRUCT(name, fields, ...)                                                                                  \
    struct ipc_##name {                                                                                                \
        fields(IPC_U64, IPC_BOOL, IPC_BYTES, IPC_FD)                                                                   \
    };
IPC_MESSAGES(IPC_STRUCT)

struct ipc_channel;
struct ipc_handlers {
#define IPC_HANDLER(name, fields, ...) void (*name)(void *context, const struct ipc_##name *);
    IPC_MESSAGES(IPC_HANDLER)
    void (*end)(void *context); /* the peer is gone or misbehaves; free the channel */
};
struct ipc_channel *ipc_channel_new(struct loop *, int fd, const struct ipc_handlers *, void *context); /* takes fd */
/* Sends what waits now, for at most a second: for a process that ends right after. */
void ipc_flush(struct ipc_channel *);
const char *ipc_end_reason(const struct ipc_channel *); /* for people, once `end` was called */
void ipc_channel_free(struct ipc_channel *);
size_t ipc_pending(const struct ipc_channel *);
#define IPC_SEND(name, fields, ...) void ipc_send_##name(struct ipc_channel *, const struct ipc_##name *);
IPC_MESSAGES(IPC_SEND)
/* A connected pair (SOCK_STREAM, close-on-exec, non-blocking). */
MUST_CHECK bool ipc_pair(int fds[2]);
