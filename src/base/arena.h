#pragma once
#include "base/slice.h"
/*
 * arena - memory that ends together: many small pieces, one arena_free. For a transaction, a snapshot, a
 * parsed file. {0} is a valid empty arena and costs nothing until the first piece.
 *
 * Threads: one at a time. Pieces are aligned for any type and zeroed.
 */
struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used_octets; /* handed out so far: what a limit is checked against */
};

void *arena_alloc(struct arena *, size_t octets);
#define ARENA_NEW(arena, type)              ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_NEW_ARRAY(arena, type, count) ((type *)arena_alloc_array((arena), (count), sizeof(type)))
void *arena_alloc_array(struct arena *, size_t count, size_t octets);
slice arena_copy(struct arena *, slice);
char *arena_cstr(struct arena *, slice); /* a copy with a NUL behind it */
slice arena_format(struct arena *, const char *format, ...) PRINTF_LIKE(2, 3);
/* Empties the arena but keeps its first block for the next transaction. */
void arena_reset(struct arena *);
void arena_free(struct arena *);
