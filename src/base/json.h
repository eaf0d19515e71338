#pragma once
#include "base/text.h"
/*
 * json - writing JSON (RFC 8259) into a text, fast enough for the event log. Reading is jansson's.
 * Names carry "_add_" so that they cannot be taken for jansson's own.
 * Octets that are not UTF-8 are written as U+FFFD, control characters escaped: a line stays one line.
 */
void json_add_string(struct text *, slice); /* with its quotes */
/* `,"name":` with the comma left out after '{' or '[' or at the start. */
void json_add_name(struct text *, slice name);
void json_add_field_string(struct text *, slice name, slice value);
void json_add_field_u64(struct text *, slice name, uint64_t value);
void json_add_field_bool(struct text *, slice name, bool value);
