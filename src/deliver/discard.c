#include "base/memory.h"
#include "deliver/connection.h"
/*
 * discard - the route that throws mail away, and says so: each recipient ends as delivered with that text.
 */
enum { DISCARDS_PER_TURN = 256 };

static void run(struct connection *c)
{
    static const struct outcome thrown_away = {
        .action = ACTION_DELIVERED,
        .stage = STAGE_POLICY,
        .status = { 2, 0, 0 },
        .text = LIT("discarded, as the route for this domain says"),
    };
    c->was_usable = true;
    for (int i = 0; i < DISCARDS_PER_TURN; i++) {
        struct task *task = connection_next_task(c);
        if (!task) {
            connection_end(c, NULL);
            return;
        }
        task_set_outcome(task, &thrown_away);
        connection_task_done(c, task);
    }
    connection_wake(c);
}

static void end(struct connection *c) { connection_end(c, NULL); }

static void discard_free(struct connection *c)
{
    arena_free(&c->memory);
    memory_free(c);
}

static const struct connection_kind discard_kind = { .run = run, .stop = end, .abort = end, .free = discard_free };

struct connection *discard_connection_new(struct deliverer *d, const struct destination *to, void *handle)
{
    struct connection *c = MEMORY_NEW(struct connection);
    connection_init(c, &discard_kind, d, to, handle);
    return c;
}
