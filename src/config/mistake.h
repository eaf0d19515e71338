#pragma once
#include "base/nearest.h"
#include "config/config.h"
/* mistake - gathering what is wrong with a configuration. Private to config/. */

/* Once CONFIG_MISTAKES_MAX are reached the last one says so and further ones are dropped. `option` is copied. */
void mistake_add(struct config_mistakes *, slice file, unsigned line, unsigned column, slice option, const char *format,
                 ...) PRINTF_LIKE(6, 7);
/* In the order of the files and places they are about. */
void mistakes_sort(struct config_mistakes *);

/* A found value for people: quoted, control characters as '?', cut when long. */
void text_add_quoted(struct text *, slice);
