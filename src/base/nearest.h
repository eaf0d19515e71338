#pragma once
#include "base/text.h"
/*
 * nearest - the known word that a misspelt one was meant to be, for "did you mean". Offer every known word in turn.
 */
struct nearest {
    slice word, best; /* best: empty where none is close enough to be what was meant */
    size_t distance;
};
static inline struct nearest nearest_start(slice word)
{
    return (struct nearest){ .word = word, .distance = SIZE_MAX };
}
void nearest_offer(struct nearest *, slice known);
/* "; did you mean max_message_size?" or nothing. */
void text_add_nearest(struct text *, const struct nearest *);
