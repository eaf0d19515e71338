#pragma once
#include "config/table.h"
/*
 * value - the text of one option to its typed value, with ranges, and back. Private to config/.
 */

/* Sets the field of a single-valued option from `text`. Slices are made in `memory`. False: *why says what was
 * expected, for people. FILE and SECRET are taken as they are: their special forms are the reader's. */
MUST_CHECK bool value_parse(const struct option *, slice text, struct arena *memory, void *field, struct text *why);
/* The same for one item of a list option. */
MUST_CHECK bool value_parse_item(const struct option *, slice text, struct arena *memory, slice *item,
                                 struct text *why);
/* Sets the field to the preset (an option without one: to nothing). */
void value_set_preset(const struct option *, struct arena *memory, void *field);
/* How the value is written in YAML, without quotes (lists and the special forms are the writer's). */
void text_add_value(struct text *, const struct option *, const void *field);
/* "at least 1s, at most 30d"; nothing where there is no bound. */
void text_add_range(struct text *, const struct option *);

/* RFC 1035 §2.3.1 as RFC 1123 §2.1 relaxed it: letters, digits and hyphens, no number as last label. A single label is
 * allowed. Otherwise *why (may be NULL) says what is wrong with it. */
MUST_CHECK bool host_name_is_valid(slice name, struct text *why);
slice arena_copy_lower(struct arena *, slice);
