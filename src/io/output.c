#include "io/output.h"
#include "base/memory.h"

static struct chunk *new_common_chunk(struct loop *loop)
{
    struct chunk *chunk = loop->free_chunks;
    if (chunk) {
        loop->free_chunks = chunk->next;
        loop->free_chunks_count--;
    } else {
        chunk = memory_resize(NULL, sizeof *chunk + CHUNK_DATA_OCTETS);
    }
    *chunk = (struct chunk){ .ptr = chunk->data, .room = CHUNK_DATA_OCTETS, .is_common = true };
    return chunk;
}

/* With a copy of `octets`. A large one is as large as they are, and is not kept for small uses afterwards. */
static struct chunk *new_chunk(struct loop *loop, slice octets)
{
    struct chunk *chunk;
    if (octets.len <= CHUNK_DATA_OCTETS) {
        chunk = new_common_chunk(loop);
        chunk->room -= (uint32_t)octets.len;
    } else {
        chunk = memory_resize(NULL, sizeof *chunk + octets.len);
        *chunk = (struct chunk){ .ptr = chunk->data };
    }
    memcpy(chunk->data, octets.ptr, octets.len);
    chunk->len = octets.len;
    return chunk;
}

static void append(struct output *output, struct chunk *chunk)
{
    if (output->last)
        output->last->next = chunk;
    else
        output->first = chunk;
    output->last = chunk;
}

/* Fills up the chunk; returns what did not fit. */
static slice fill_room(struct chunk *chunk, slice octets)
{
    slice head = slice_head(octets, chunk->room);
    memcpy((char *)chunk->ptr + chunk->len, head.ptr, head.len);
    chunk->len += head.len;
    chunk->room -= (uint32_t)head.len;
    return slice_tail(octets, head.len);
}

void output_add(struct loop *loop, struct output *output, slice octets)
{
    if (octets.len == 0)
        return;
    output->octets += octets.len;
    if (output->last && output->last->room)
        octets = fill_room(output->last, octets);
    if (octets.len)
        append(output, new_chunk(loop, octets));
}

void output_add_shared(struct loop *loop, struct output *output, slice octets, loop_function *release, void *context)
{
    struct chunk *chunk = memory_resize(NULL, sizeof *chunk);
    *chunk = (struct chunk){ .ptr = octets.ptr, .len = octets.len, .release = release, .context = context };
    if (octets.len == 0) {
        chunk->next = loop->released;
        loop->released = chunk;
        loop_stay_awake(loop);
        return;
    }
    output->octets += octets.len;
    append(output, chunk);
}

static void drop_first(struct loop *loop, struct output *output)
{
    struct chunk *chunk = output->first;
    output->first = chunk->next;
    if (!output->first)
        output->last = NULL;
    if (chunk->release) {
        chunk->next = loop->released;
        loop->released = chunk;
    } else if (chunk->is_common && loop->free_chunks_count < CHUNKS_KEPT_MAX) {
        chunk->next = loop->free_chunks;
        loop->free_chunks = chunk;
        loop->free_chunks_count++;
    } else {
        memory_free(chunk);
    }
}

void output_take(struct loop *loop, struct output *output, size_t octets)
{
    assert(octets <= output->octets);
    output->octets -= octets;
    while (output->first && output->first->len <= octets) {
        octets -= output->first->len;
        drop_first(loop, output);
    }
    if (octets) {
        output->first->ptr += octets;
        output->first->len -= octets;
    }
}

void output_clear(struct loop *loop, struct output *output)
{
    output_take(loop, output, output->octets);
    if (loop->released)
        loop_stay_awake(loop);
}

void output_move(struct output *to, struct output *from)
{
    if (!from->first)
        return;
    if (to->last)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    to->octets += from->octets;
    *from = (struct output){ 0 };
}

int output_fill(const struct output *output, struct iovec *vector, int max)
{
    int count = 0;
    for (const struct chunk *chunk = output->first; chunk && count < max; chunk = chunk->next)
        vector[count++] = (struct iovec){ (void *)chunk->ptr, chunk->len };
    return count;
}

slice output_peek(const struct output *output, char *scratch, size_t max)
{
    const struct chunk *chunk = output->first;
    if (!chunk)
        return (slice){ 0 };
    if (chunk->len >= max || !chunk->next)
        return slice_from(chunk->ptr, size_min(chunk->len, max));
    size_t len = 0;
    for (; chunk && len < max; chunk = chunk->next) {
        size_t part = size_min(chunk->len, max - len);
        memcpy(scratch + len, chunk->ptr, part);
        len += part;
    }
    return slice_from(scratch, len);
}

void output_run_released(struct loop *loop)
{
    /* in the order in which the octets left */
    struct chunk *chunk = loop->released, *ordered = NULL;
    loop->released = NULL;
    while (chunk) {
        struct chunk *next = chunk->next;
        chunk->next = ordered;
        ordered = chunk;
        chunk = next;
    }
    while (ordered) {
        struct chunk *next = ordered->next;
        ordered->release(ordered->context);
        memory_free(ordered);
        ordered = next;
    }
}

void output_free_chunks(struct loop *loop)
{
    while (loop->free_chunks) {
        struct chunk *next = loop->free_chunks->next;
        memory_free(loop->free_chunks);
        loop->free_chunks = next;
    }
}
