#include "base/nearest.h"

void nearest_offer(struct nearest *nearest, slice known)
{
    /* A word that is mostly different is a guess, not help. */
    size_t limit = size_max(1, size_min(nearest->word.len, known.len) / 3);
    enum { WORD_MAX = 64 }; /* text_distance takes time by the product of the lengths */
    if (nearest->word.len > WORD_MAX)
        return;
    size_t distance = text_distance(nearest->word, known);
    if (distance <= limit && distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = known;
    }
}

void text_add_nearest(struct text *text, const struct nearest *nearest)
{
    if (nearest->best.len)
        text_add_format(text, "; did you mean " SLICE_FMT "?", SLICE_ARG(nearest->best));
}
