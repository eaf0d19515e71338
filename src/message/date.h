#pragma once
#include "base/text.h"
/*
 * date - date-time of RFC 5322 §3.3, "Fri, 21 Nov 1997 09:55:06 -0600", in the machine's time zone.
 */
void text_add_date(struct text *, uint64_t wall_ms);
/* For people and machines that want it short: "2026-11-25 17:27:49 +0000". */
void text_add_date_short(struct text *, uint64_t wall_ms);
