#pragma once
#include "config/config.h"
#include "directory/directory.h"
#include "event/event.h"
#include "spool/delivery.h"
/*
 * schedule - what is tried when: a queue for each destination, connections to it, retries with growing jittered waits,
 * back-off of a destination as a whole, expiry. One schedule per loop.
 *
 * Every final or transient outcome goes to the spool first (spool_record), then to the event log; failures that are due
 * a DSN go through the report door and are recorded only after the DSN is durable (nothing vanishes: design §1.3).
 */
struct schedule;
struct schedule_doors {
    struct loop *loop;
    struct spool *spool;
    struct event_log *events;
    struct delivery_deliver_door deliver;
    /* Makes one DSN about these recipients and commits it; `done` once it is durable (true) or could not be made
     * (false: ask again later), never inside the call. kind as enum report_kind of report/report.h: 0 failed, 1
     * delayed, 2 relayed. The outcomes to report are passed beside. No DSN due: done(true). */
    void (*report)(void *reports, int kind, struct spool_message *, const uint32_t *recipients,
                   const struct outcome *outcomes, size_t count, uint64_t give_up_ms,
                   void (*done)(void *context, bool ok), void *context);
    void *reports;
    /* For tests: */
    uint64_t (*wall_ms)(void); /* NULL: the loop's wall clock */
    uint64_t again_ms;         /* until a report is asked for again; 0: a minute */
};
struct schedule *schedule_new(const struct schedule_doors *);
void schedule_configure(struct schedule *, struct config *, struct directory *); /* both held */
struct delivery_schedule_door schedule_door(struct schedule *);                  /* for deliver */
/* A message is here: fresh, or recovered at start. */
void schedule_add(struct schedule *, struct spool_message *);
/* Operator's: all open recipients of one message. Each is in the journal and the log when it returns. */
void schedule_retry(struct schedule *, struct spool_message *);
void schedule_hold(struct schedule *, struct spool_message *, slice by);
void schedule_release(struct schedule *, struct spool_message *, slice by);
void schedule_remove(struct schedule *, struct spool_message *, slice by); /* after an attempt in progress has ended */
/* No new connections and tasks; `done` when the tasks under way and the DSNs being made have ended, or after
 * `patience_ms`, never inside the call. Connections may still be open then, idle: free the deliverer first, then the
 * schedule. */
void schedule_stop(struct schedule *, uint64_t patience_ms, loop_function *done, void *context);
void schedule_free(struct schedule *);

/* For `queue list`: the state of a message in a word, and the next attempt (wall clock; 0: now or held). */
const char *schedule_state(const struct schedule *,
                           const struct spool_message *); /* "queued", "active", "deferred", "held" */
/* When it goes on: the earliest next attempt of its open recipients, or the destination's when all its mail waits
 * together. */
uint64_t schedule_next_attempt_ms(const struct schedule *, const struct spool_message *);
uint64_t schedule_recipient_next_attempt_ms(const struct schedule *, const struct spool_message *, size_t recipient);
struct schedule_destination_info {
    slice name;
    size_t waiting, deferred; /* messages that wait for a turn; for a suspended destination to answer */
    size_t connections;
    bool suspended;
    uint64_t retry_ms; /* wall clock */
};
void schedule_each_destination(const struct schedule *,
                               void (*visit)(void *context, const struct schedule_destination_info *), void *context);
/* Where a recipient goes, in the order of the configured routes; hosted domains go to the mailbox. False: no route
 * (5.4.4). */
MUST_CHECK bool route_find(const struct config *, const struct directory *, struct path, struct arena *,
                           struct destination *);
