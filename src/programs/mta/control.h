#pragma once
#include "event/event.h"
#include "io/stream.h"
#include "receive/receive.h"
#include "schedule/schedule.h"
#include "spool/spool.h"
/*
 * control - the mta's side of the control socket (programs/ctl/protocol.h): queue commands, status, local submission.
 *
 * Runs on one loop. What belongs to another loop is asked by loop_post, a piece of the queue at a time, so that no loop
 * is held up by a long listing; the client is waited for between pieces.
 * Bounds:   connections (in all and of each unprivileged user), request octets, time for a request, octets that wait
 * for a slow reader. Threads:  the functions below on `loop`. control_stop before the spools are closed, control_free
 * after.
 */
struct control;
/* Everything is borrowed and outlives the control. */
struct control_loop {
    struct loop *loop;
    struct spool *spool;
    struct schedule *schedule;
    struct receiver *receiver;
    struct event_log *events;
};
struct control_doors {
    struct loop *loop;                /* where the connections are served: one of `loops` */
    int listener_fd;                  /* taken */
    const struct control_loop *loops; /* copied */
    size_t loop_count;
    struct event_log *events;
    /* Takes over a connection of a local user, "uid:33", for a submission session (SMTP from its greeting on). NULL:
     * refused. */
    void (*submit)(void *receiver, struct stream *, slice account);
    void *receiver;
};
struct control *control_new(const struct control_doors *);
/* Closes listener and connections. What was already asked of other loops is answered by them before anything that is
 * posted to them later; nothing more is asked. */
void control_stop(struct control *);
void control_free(struct control *); /* NULL is allowed */
