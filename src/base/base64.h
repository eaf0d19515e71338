#pragma once
#include "base/text.h"
/* base64 - RFC 4648 §4, with padding, no line breaks. */
void base64_encode(struct text *, slice octets);
/* Strict: whole quads, right padding, zero pad bits, nothing else in between. False leaves `to` as it was. */
MUST_CHECK bool base64_decode(struct text *to, slice encoded);
