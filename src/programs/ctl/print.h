#pragma once
#include "base/text.h"
#include <jansson.h>
#include <stdio.h>
/*
 * print - what the commands show. What strangers wrote (replies, addresses, headers) is made harmless for a terminal;
 * colour only where stdout is one and NO_COLOR is not set.
 */
enum print_style { STYLE_PLAIN, STYLE_STRONG, STYLE_FAINT, STYLE_GOOD, STYLE_WARNING, STYLE_BAD };
bool print_has_colour(void);
/* Control characters become '?', tabs spaces; UTF-8 stays. */
void text_add_harmless(struct text *, slice);
void print_styled(enum print_style, slice);
void print_plain(slice); /* made harmless */
void print_raw(slice);   /* our own words */

/* Fields of an answer; absent or of another type: "" and 0 and false. */
slice json_text(const json_t *, const char *field);
uint64_t json_number(const json_t *, const char *field);
bool json_is_set(const json_t *, const char *field);

/* "in 20 minutes", "2 hours ago", "now". */
void text_add_when(struct text *, uint64_t wall_ms, uint64_t now_ms);
/* For people: "4.1K". */
void text_add_size_short(struct text *, uint64_t octets);
/* One line of JSON. */
void print_json(const json_t *);
