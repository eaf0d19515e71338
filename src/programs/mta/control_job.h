#pragma once
#include "programs/mta/control_item.h"
#include "programs/mta/control_request.h"
#include <stdatomic.h>
/*
 * control_job - a request carried from loop to loop, a piece at a time.
 *
 * While it is out (control_job_step until `piece`) it belongs to the loop it visits; between pieces it belongs to its
 * home loop, where `piece` runs. A message that ends between two pieces is simply not there any more.
 */
struct control_job {
    struct control_request request;
    struct arena memory; /* of the request */
    struct loop *home;
    const struct control_loop *loops;
    size_t loop_count;
    const atomic_bool *is_stopping;
    uint64_t started_ms;  /* of the process, for the status */
    struct text by;       /* "operator uid 0" */
    loop_function *piece; /* at home: output holds lines to send on; is_done: the last, an end or an error */
    void *context;

    struct text output;
    uint64_t count;
    bool more, is_done;

    size_t visited; /* the loop where it is, or goes next */
    bool has_ids;
    uint64_t *ids; /* of the messages there, as they were at the beginning */
    size_t id_count, id_capacity, id_place;
    bool has_changed;
    struct spool_message *loading;
    struct text header; /* of a large message, while it is read from its file */
    int header_fd;
    struct status_sum status;
};
/* Fill request, memory, home, loops, loop_count, is_stopping, by, piece and context first. */
void control_job_start(struct control_job *);
/* The next piece; after `piece` said that it is not done. */
void control_job_step(struct control_job *);
void control_add_error(struct text *, slice error, int exit_code);
void control_job_clear(struct control_job *); /* only while it is not out */
