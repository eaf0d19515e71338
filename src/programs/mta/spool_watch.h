#pragma once
#include "event/event.h"
#include "spool/spool.h"
/*
 * spool_watch - what the operator should know of a journal, as events: what recovery found, no space, broken. A broken
 * journal acknowledges nothing more, so the process ends shortly after; the supervisor starts it again and recovery
 * sees what the disk really holds.
 */
struct spool_watch {
    struct loop *loop;
    struct event_log *events;
    struct timer end;
};
void spool_watch_start(struct spool_watch *, struct loop *, struct spool *, struct event_log *);
void spool_watch_stop(struct spool_watch *);
