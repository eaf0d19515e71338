#pragma once
#include "spool/spool.h"
/*
 * task - recipients of one message that go to one destination together: what the schedule hands to deliver/, and what
 * comes back with an outcome for each (RFC 5321 §4.5.4.1: one copy for several recipients at one host).
 */
struct task {
    struct list queued;               /* the owner's: the schedule while it waits, deliver/ while it works */
    struct spool_message *message;    /* stays live while the task exists */
    struct arena memory;              /* outcomes' slices hang here */
    size_t recipient_count;
    void *destination;                /* the schedule's */
    bool was_tried;                   /* the message's content or envelope went to a remote during this attempt */
    uint64_t started_ms;              /* monotonic: when deliver/ took it */
    struct task_recipient {
        uint32_t index;               /* in the message's recipients */
        struct outcome outcome;       /* ACTION_NONE until deliver/ says */
    } recipients[];
};
static inline const struct recipient *task_recipient_address(const struct task *t, size_t i)
{
    return &t->message->envelope->recipients[t->recipients[i].index];
}
/* The same outcome for every recipient that has none yet. */
void task_set_outcome(struct task *, const struct outcome *);
