#include "smtp/envelope.h"
#include "smtp/outcome.h"
#include <stdlib.h>
/*
 * envelope_fuzz - the journal's forms: what decodes, encodes to the same octets again, and takes memory in proportion
 * only.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
    if (!fact)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = slice_from((const char *)data, size);
    struct arena arena = { 0 };
    struct text again = { 0 };
    struct envelope envelope;
    struct outcome outcome;
    if (envelope_decode(&arena, input, &envelope)) {
        struct arena other = { 0 };
        struct envelope twin;
        envelope_encode(&again, envelope_copy(&other, &envelope));
        must(envelope_decode(&other, text_slice(&again), &twin) && twin.recipient_count == envelope.recipient_count);
        must(again.len <= input.len); /* an original equal to the forward-path is written once */
        arena_free(&other);
    }
    must(arena.used_octets <= 64 * size + 4096);
    text_clear(&again);
    slice rest = input;
    if (outcome_decode(&arena, &rest, &outcome)) {
        outcome_encode(&again, &outcome);
        must(slice_eq(text_slice(&again), slice_head(input, input.len - rest.len)));
    }
    text_free(&again);
    arena_free(&arena);
    return 0;
}
