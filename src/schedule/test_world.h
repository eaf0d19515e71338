#pragma once
#include "schedule/schedule.h"
/*
 * test_world - for tests only: a schedule over a real spool in a temporary folder, with a deliver side and a report
 * door that do what a script says. What a recipient's local part begins with is what becomes of it:
 *
 *   ok     delivered            later  deferred, at RCPT              busy  deferred, at MAIL
 *   fail   failed               twice  deferred twice, then delivered   back  put back
 *
 * and what the destination's host begins with is what becomes of its connections:
 *
 *   up     carries mail         dead   fails (see world.revived)      gone  fails for good
 *   slow   takes a task and keeps it until world.released              drop  puts its first task back and fails
 *   mute   connects until world.released, and is broken off then
 */
struct world {
    char folder[64];
    struct loop *loop;
    struct event_log *events;
    struct spool *spool;
    struct schedule *schedule;
    struct config *config;
    struct directory *directory;
    struct delivery_schedule_door door;
    struct list connections, ended;
    struct timer work, limit, watch;
    bool (*reached)(struct world *);

    bool revived, released; /* dead: they carry mail from now on; slow: they answer */
    bool report_fails;
    size_t opened, open, open_most;
    size_t tasks, tasks_recipients_most, active, active_most;
    size_t reports[3], report_recipients[3], reports_refused, report_expired;
    uint64_t give_up_ms;
    size_t mail; /* committed and added */
    bool stopped, limit_reached;
    struct text last_hosts; /* hosts of connections in the order they were opened, separated by spaces */
};
/* `yaml`: the configuration's retry section and whatever else, behind routes that lead each domain to the host of its
 * first label. */
int world_open(void **state, const char *retry_yaml);
int world_close(void **state);
void world_reopen(struct world *); /* as after a clean end: the spool is read again */
void world_configure(struct world *, const char *yaml);
/* A message for these addresses, separated by spaces; committed and given to the schedule when the call returns. */
void world_send(struct world *, const char *recipients);
void world_send_many(struct world *, size_t count, const char *recipients);
/* As world_send, but with NOTIFY for all recipients. */
void world_send_notify(struct world *, const char *recipients, unsigned notify);
/* Runs the loop until it is true; fails the test after 20 s. */
void world_run_until(struct world *, bool (*reached)(struct world *));
void world_run_for(struct world *, uint64_t ms);
struct spool_message *world_message(struct world *); /* the oldest one */
size_t world_events(struct world *, enum event_kind);
bool world_is_empty(struct world *); /* no message left */
void world_move_clock(int64_t ms);   /* the wall clock only */
