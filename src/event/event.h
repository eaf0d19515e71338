#pragma once
#include "base/address.h"
#include "base/text.h"
#include "event/events.def"
/*
 * event - what happened, once: one JSON line in the event log (the door for dashboards, webhooks, trace), readable
 * text on stderr, and a counter, all from the same call.
 *
 *     event_start(log, EVENT_message_received);
 *     event_id(log, "message", id);  event_text(log, "reverse_path", path);  event_number(log, "size_octets", n);
 *     event_end(log);
 *
 * Every declared field must be named; with event_text of an empty slice it counts as named and is not written. A
 * missing one is said once on stderr (strict logs, for tests, abort). More fields than declared are allowed. Values are
 * cut at 4096 octets.
 *
 * Files:   DIR/log/events-PROCESS[-LOOP].jsonl, rotated by size: .1 is the newest old one.
 * Cost:    lines gather in memory and are written by event_flush (the owner calls it on a timer of 200 ms and at the
 *          end) or when 64 KiB wait. The time is event_set_clock's, asked at each event, or event_set_time's.
 * Faults:  a log that cannot be written (a full disk) never stops mail: it is said once on stderr, tried again every
 * second, and the gap is told in the log. A stderr that nobody reads is not waited for. Threads: one log per loop; a
 * log belongs to its thread.
 */
#define EVENT_KIND(name, ...) EVENT_##name,
enum event_kind { EVENTS(EVENT_KIND) EVENT_KINDS };
enum event_text_level { EVENT_TEXT_NONE, EVENT_TEXT_IMPORTANT, EVENT_TEXT_ALL };

struct event_log;
struct event_log_params {
    const char *folder;  /* NULL: no file (tests, short-lived commands) */
    const char *process; /* "mta-0", "keyring" */
    uint64_t rotate_octets;
    unsigned keep_files;
    enum event_text_level text_level;
    int text_fd;    /* usually 2; -1: nowhere */
    bool is_strict; /* for tests: abort when a declared field was not named */
};
MUST_CHECK struct event_log *event_log_open(const struct event_log_params *, struct text *error);
void event_log_change(struct event_log *, uint64_t rotate_octets, unsigned keep_files, enum event_text_level);
void event_log_close(struct event_log *); /* flushes */
void event_set_time(struct event_log *, uint64_t wall_ms);
/* From then on each event asks this clock (a loop's, which is taken once a turn) for its time. */
void event_set_clock(struct event_log *, uint64_t (*wall_ms)(void *context), void *context);
void event_flush(struct event_log *);
/* Octets that wait for event_flush: 0 means that no timer is needed. */
size_t event_pending(const struct event_log *);
uint64_t event_count(const struct event_log *, enum event_kind);
const char *event_name(enum event_kind);

void event_start(struct event_log *, enum event_kind);
void event_text(struct event_log *, const char *field, slice);
void event_cstr(struct event_log *, const char *field, const char *);
void event_number(struct event_log *, const char *field, uint64_t);
void event_id(struct event_log *, const char *field, uint64_t message_id);         /* as 16 hex digits */
void event_address(struct event_log *, const char *field, const struct address *); /* with port */
void event_end(struct event_log *);
/* EVENT_trouble with a text. */
void event_trouble(struct event_log *, const char *format, ...) PRINTF_LIKE(2, 3);
