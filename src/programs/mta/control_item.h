#pragma once
#include "programs/mta/control.h"
/*
 * control_item - the items of programs/ctl/protocol.h as JSON.
 */
/* MESSAGE without its closing brace, so that a header may follow; at most `recipients` of them are listed. */
void text_add_message_item(struct text *, const struct control_loop *, const struct spool_message *,
                           uint64_t recipients);

struct destination_line {
    struct text name;
    uint64_t waiting, deferred, connections, retry_ms;
    bool is_suspended;
};
/* What the loops add up for a STATUS. */
struct status_sum {
    uint64_t sessions, waiting, deferred, connections, destinations, suspended;
    struct spool_statistics spool;
    bool is_broken, is_full;
    uint64_t events[EVENT_KINDS];
    struct destination_line busiest[50]; /* STATUS_DESTINATIONS, most waiting first */
    size_t busiest_count;
};
void status_sum_add(struct status_sum *, const struct control_loop *); /* on the loop's thread */
void text_add_status_item(struct text *, const struct status_sum *, size_t loops, uint64_t started_ms);
void status_sum_clear(struct status_sum *);
