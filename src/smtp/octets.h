#pragma once
#include "base/arena.h"
#include "base/text.h"
/*
 * octets - numbers and slices in the compact form that the journal keeps: LEB128 numbers, slices with their length in
 * front. Taking checks every length and never reads past the input.
 */
static inline void octets_add_number(struct text *to, uint64_t number)
{
    char *at = text_reserve(to, 10);
    size_t count = 0;
    for (; number >= 0x80; number >>= 7)
        at[count++] = (char)(number | 0x80);
    at[count++] = (char)number;
    to->len += count;
}

static inline void octets_add_slice(struct text *to, slice s)
{
    octets_add_number(to, s.len);
    text_add(to, s);
}

/* One form for one number: a longer one than needed is refused, as is what does not fit in 64 bits. */
MUST_CHECK static inline bool octets_take_number(slice *input, uint64_t highest, uint64_t *number)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && i < input->len; i++) {
        uint8_t octet = (uint8_t)input->ptr[i];
        if (i == 9 && octet > 1)
            return false;
        value |= (uint64_t)(octet & 0x7f) << (7 * i);
        if (octet & 0x80)
            continue;
        if ((octet == 0 && i > 0) || value > highest)
            return false;
        *input = slice_tail(*input, i + 1);
        *number = value;
        return true;
    }
    return false;
}

MUST_CHECK static inline bool octets_take_slice(slice *input, struct arena *arena, slice *s)
{
    uint64_t length;
    if (!octets_take_number(input, SIZE_MAX, &length) || length > input->len)
        return false;
    *s = arena_copy(arena, slice_head(*input, length));
    *input = slice_tail(*input, length);
    return true;
}
