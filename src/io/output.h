#pragma once
#include "base/slice.h"
#include "io/inside.h"
#include <sys/uio.h>
/*
 * output - octets that wait to leave, in chunks: small writes are copied together, shared slices stand by reference.
 * Chunks come from the loop and go back to it.
 */
struct chunk {
    struct chunk *next;
    const char *ptr; /* what has not left yet */
    size_t len;
    uint32_t room;          /* free octets behind ptr + len, 0 for a shared one */
    bool is_common;         /* has CHUNK_DATA_OCTETS and goes back to the loop */
    loop_function *release; /* shared only */
    void *context;
    char data[];
};
_Static_assert(sizeof(struct chunk) == 48, "a chunk and its data fill 4096 octets");

struct output {
    struct chunk *first, *last;
    size_t octets;
};

void output_add(struct loop *, struct output *, slice);
/* `release` runs at the end of a turn, after the octets were taken or the output was cleared. */
void output_add_shared(struct loop *, struct output *, slice, loop_function *release, void *context);
/* Takes octets away from the front. */
void output_take(struct loop *, struct output *, size_t octets);
void output_clear(struct loop *, struct output *);
/* Puts all of `from` behind `to`. */
void output_move(struct output *to, struct output *from);
int output_fill(const struct output *, struct iovec *, int max);
/* The first octets in one piece, at most `max`: in place when the first chunk has them, else collected in `scratch`. */
slice output_peek(const struct output *, char *scratch, size_t max);
