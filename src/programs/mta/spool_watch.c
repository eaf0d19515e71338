#include "programs/mta/spool_watch.h"
#include <stdlib.h>
#include <unistd.h>

/* Long enough for the 451s to reach their clients. */
#define END_AFTER_MS 1000

static void tell_recovery(struct event_log *events, const struct spool *spool)
{
    struct spool_recovery recovery;
    spool_get_recovery(spool, &recovery);
    event_start(events, EVENT_spool_recovered);
    event_number(events, "messages", recovery.messages);
    event_number(events, "segments", recovery.segments);
    event_number(events, "torn_octets", recovery.torn_octets);
    event_number(events, "damaged_octets", recovery.damaged_octets);
    event_number(events, "damaged_messages", recovery.damaged_messages);
    event_number(events, "duration_ms", recovery.duration_ms);
    event_end(events);
    for (slice rest = recovery.report, line; slice_next_line(&rest, &line);)
        event_trouble(events, "spool: " SLICE_FMT, SLICE_ARG(line));
}

static void end_process(void *context)
{
    struct spool_watch *watch = context;
    event_flush(watch->events);
    _exit(EXIT_FAILURE);
}

static void on_state(void *context, enum spool_result state, slice text)
{
    struct spool_watch *watch = context;
    enum event_kind kind = state == SPOOL_OK     ? EVENT_spool_resumed
                           : state == SPOOL_FULL ? EVENT_spool_full
                                                 : EVENT_spool_broken;
    event_start(watch->events, kind);
    event_text(watch->events, "text", text);
    event_end(watch->events);
    if (kind == EVENT_spool_broken)
        timer_set(watch->loop, &watch->end, END_AFTER_MS, end_process, watch);
}

void spool_watch_start(struct spool_watch *watch, struct loop *loop, struct spool *spool, struct event_log *events)
{
    *watch = (struct spool_watch){ .loop = loop, .events = events };
    tell_recovery(events, spool);
    spool_on_state(spool, on_state, watch);
}

void spool_watch_stop(struct spool_watch *watch) { timer_clear(watch->loop, &watch->end); }
