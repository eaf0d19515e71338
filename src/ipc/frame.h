#pragma once
#include "ipc/ipc.h"
/*
 * frame - a message of ipc/ as octets:
 *
 *     u32 length of what follows   u16 type   fields in their order
 *
 * U64: 8 octets; BOOL: 1 octet, 0 or 1; BYTES: u32 length and the octets; FD: 1 octet, 1 when a descriptor goes along
 * (SCM_RIGHTS, with the first octet of the frame). Numbers stand in the order of this machine: both ends are one
 * program.
 */
enum {
    FRAME_MAX = 16 * 1024 * 1024, /* what follows the length */
    FRAME_FDS_MAX = 4,            /* descriptors of one message */
    FDS_WAITING_MAX = 32,         /* descriptors that came and whose message is not there yet */
};

#define FRAME_TYPE(name, ...) FRAME_##name,
enum frame_type { IPC_MESSAGES(FRAME_TYPE) FRAME_TYPES };

/* Descriptors in the order in which they came. Whoever takes one owns it. */
struct fd_queue {
    int fds[FDS_WAITING_MAX];
    size_t count;
};
MUST_CHECK bool fd_queue_add(struct fd_queue *, int fd); /* false: full, fd was not taken */
void fd_queue_close(struct fd_queue *);

enum frame_result {
    FRAME_OK,
    FRAME_INCOMPLETE, /* more octets are needed */
    FRAME_TOO_LONG,
    FRAME_UNKNOWN,    /* no such type */
    FRAME_MALFORMED,  /* fields do not fill the frame, or a descriptor is missing */
    FRAME_UNEXPECTED, /* nobody here handles such a message */
};
const char *frame_result_text(enum frame_result);

/* The first frame of `octets`: *whole is its length with everything, also as soon as only its head is there (then the
 * result is FRAME_INCOMPLETE; 0 when not even that). */
enum frame_result frame_measure(slice octets, size_t *whole);
/* Reads one whole frame and calls its handler. */
enum frame_result frame_dispatch(slice frame, struct fd_queue *, const struct ipc_handlers *, void *context);

/* Carries what must not stay in memory once it was handled: a password. */
static inline bool frame_type_is_secret(enum frame_type type) { return type == FRAME_verify_password; }
enum frame_type frame_type(slice frame); /* of a whole frame */

struct frame_fds {
    int fds[FRAME_FDS_MAX];
    size_t count;
};
/* Appends a message; false when it is longer than FRAME_MAX. `fds` gets its descriptors (also when false). */
#define FRAME_ADD(name, ...)                                                                                           \
    MUST_CHECK bool frame_add_##name(struct text *, const struct ipc_##name *, struct frame_fds *fds);
IPC_MESSAGES(FRAME_ADD)
