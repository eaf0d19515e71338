#include "base/arena.h"
#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>

struct arena_block {
    struct arena_block *next; /* older ones; the last is the first block, kept by arena_reset */
    size_t used, capacity;
    max_align_t octets[];
};

enum { ARENA_BLOCK = 4096 - sizeof(struct arena_block), ARENA_BLOCK_LARGEST = 256 * 1024 };

static size_t align_up(size_t octets)
{
    size_t padded;
    if (ADD_OVERFLOWS(octets, sizeof(max_align_t) - 1, &padded))
        return SIZE_MAX; /* cannot be had: the allocation ends the process */
    return padded & ~(sizeof(max_align_t) - 1);
}

static struct arena_block *add_block(struct arena *arena, size_t octets)
{
    /* Blocks double, so that a long transaction does not make thousands of them. */
    size_t usual = arena->blocks ? size_min(arena->blocks->capacity * 2, ARENA_BLOCK_LARGEST) : ARENA_BLOCK;
    size_t capacity = size_max(usual & ~(sizeof(max_align_t) - 1), octets), whole;
    if (ADD_OVERFLOWS(sizeof(struct arena_block), capacity, &whole))
        whole = SIZE_MAX;
    struct arena_block *block = memory_resize(NULL, whole);
    *block = (struct arena_block){ .next = arena->blocks, .capacity = capacity };
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t octets)
{
    octets = align_up(size_max(octets, 1));
    struct arena_block *block = arena->blocks;
    if (!block || block->capacity - block->used < octets)
        block = add_block(arena, octets);
    char *piece = (char *)block->octets + block->used;
    block->used += octets;
    arena->used_octets += octets;
    return memset(piece, 0, octets);
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t octets)
{
    size_t whole;
    if (MUL_OVERFLOWS(count, octets, &whole))
        whole = SIZE_MAX;
    return arena_alloc(arena, whole);
}

slice arena_copy(struct arena *arena, slice s)
{
    if (s.len == 0)
        return (slice){ 0 };
    char *copy = arena_alloc(arena, s.len);
    memcpy(copy, s.ptr, s.len);
    return slice_from(copy, s.len);
}

char *arena_cstr(struct arena *arena, slice s)
{
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

slice arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length <= 0)
        return (slice){ 0 };
    char *to = arena_alloc(arena, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(to, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return slice_from(to, (size_t)length);
}

/* Frees all but the first block. */
static struct arena_block *free_newer_blocks(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block && block->next) {
        struct arena_block *older = block->next;
        memory_free(block);
        block = older;
    }
    return block;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *first = free_newer_blocks(arena);
    /* A first piece of megabytes would otherwise stay with an idle session. */
    if (first && first->capacity > ARENA_BLOCK_LARGEST) {
        memory_free(first);
        first = NULL;
    }
    if (first)
        first->used = 0;
    *arena = (struct arena){ .blocks = first };
}

void arena_free(struct arena *arena)
{
    memory_free(free_newer_blocks(arena));
    *arena = (struct arena){ 0 };
}
