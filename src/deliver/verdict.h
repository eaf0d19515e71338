#pragma once
#include "smtp/outcome.h"
#include "smtp/reply.h"
/*
 * verdict - what a reply of the remote server means for a recipient (RFC 5321 §4.2.1, RFC 3463).
 *
 * The class of the code decides, not the enhanced status; an enhanced status that contradicts the code or is missing is
 * made from the code. 552 to RCPT counts as 452 (RFC 5321 §4.5.3.1.10) unless its status says otherwise. Where a
 * refusal was expected, a code outside 4xx and 5xx is a server that does not speak SMTP: transient.
 */
struct outcome verdict_from_reply(enum delivery_stage, const struct reply_reader *);
/* Transient, without a reply. `text` is borrowed. */
struct outcome verdict_delayed(enum delivery_stage, uint16_t subject, uint16_t detail, slice text);
struct outcome verdict_failed(enum delivery_stage, uint16_t subject, uint16_t detail, slice text);
