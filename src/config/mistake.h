#pragma once
#include "config/config.h"
/* mistake - gathering what is wrong with a configuration. Private to config/. */

/* Once CONFIG_MISTAKES_MAX are reached the last one says so and further ones are dropped. `option` is copied. */
void mistake_add(struct config_mistakes *, slice file, unsigned line, unsigned column, slice option, const char *format,
                 ...) PRINTF_LIKE(6, 7);
/* In the order of the files and places they are about. */
void mistakes_sort(struct config_mistakes *);

/* The known word closest to `word`; empty where none is close enough to be what was meant. */
struct nearest {
    slice word, best;
    size_t distance;
};
static inline struct nearest nearest_start(slice word)
{
    return (struct nearest){ .word = word, .distance = SIZE_MAX };
}
void nearest_offer(struct nearest *, slice known);
/* "; did you mean max_message_size?" or nothing. */
void text_add_nearest(struct text *, const struct nearest *);

/* A found value for people: quoted, control characters as '?', cut when long. */
void text_add_quoted(struct text *, slice);
