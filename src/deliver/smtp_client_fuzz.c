#include "base/memory.h"
#include "deliver/connection.h"
#include "io/work.h"
#include <stdlib.h>
/*
 * Fuzz target: the octets of a server into the SMTP client. The stream, the loop and what else stands around are
 * replaced by the least that works; what must hold: every task ends once, every connection is closed once, every
 * content is released.
 *
 * Input: one octet of choices, then pieces: an octet of length (0: the connection ends; 1: time runs out), the octets.
 */
struct loop {
    struct loop_hook *hook;
};
struct stream {
    int unused;
};

static struct loop the_loop;
static struct stream the_stream;
static const struct stream_events *events;
static void *events_context;
static stream_connected *connected;
static void *connected_context;
static bool handshake_is_due, stream_is_open;
static struct timer *set_timers[8];
static struct {
    loop_function *function;
    void *context;
} later[32];
static size_t later_count;
static int loads, tasks_open, tasks_made, closed_count;
static uint64_t now_ms;
static uint8_t choices;

static void run_later(loop_function *function, void *context)
{
    if (later_count == COUNT(later))
        abort();
    later[later_count].function = function;
    later[later_count++].context = context;
}

/* --- io --- */
void loop_add_turn_end(struct loop *loop, struct loop_hook *hook) { loop->hook = hook; }
void loop_remove_hook(struct loop *loop, struct loop_hook *hook)
{
    if (loop->hook == hook)
        loop->hook = NULL;
}
uint64_t loop_now_ms(const struct loop *loop) { return (void)loop, now_ms; }
void timer_set(struct loop *loop, struct timer *timer, uint64_t after_ms, loop_function *function, void *context)
{
    (void)loop, (void)after_ms;
    timer->function = function;
    timer->context = context;
    for (size_t i = 0; i < COUNT(set_timers) && !timer->node.place; i++)
        if (!set_timers[i])
            set_timers[i] = timer, timer->node.place = i + 1;
}
void timer_clear(struct loop *loop, struct timer *timer)
{
    (void)loop;
    if (timer->node.place)
        set_timers[timer->node.place - 1] = NULL;
    timer->node.place = 0;
}
struct connecting *stream_connect(struct loop *loop, const struct connect_params *params, stream_connected *done,
                                  void *context)
{
    (void)loop, (void)params;
    connected = done;
    connected_context = context;
    return (struct connecting *)(void *)&the_stream;
}
void stream_connect_cancel(struct connecting *c) { (void)c, connected = NULL; }
void stream_start(struct stream *s, const struct stream_events *e, void *context)
{
    (void)s, events = e, events_context = context;
}
void stream_write(struct stream *s, slice octets)
{
    (void)s;
    if (!stream_is_open || (octets.len > 0 && !octets.ptr))
        abort();
}
void stream_write_shared(struct stream *s, slice octets, loop_function *release, void *context)
{
    stream_write(s, octets), run_later(release, context);
}
size_t stream_pending(const struct stream *s) { return (void)s, 0; }
void stream_close(struct stream *s) { (void)s, stream_is_open = false, handshake_is_due = false; }
void stream_abort(struct stream *s) { stream_close(s); }
const char *stream_error_text(const struct stream *s) { return (void)s, ""; }
void stream_secure(struct stream *s, struct stream_filter *f) { (void)s, (void)f, handshake_is_due = true; }
const char *io_result_text(enum io_result result) { return (void)result, "failed"; }
void work_run(struct loop *loop, enum work_lane lane, loop_function *run, loop_function *done, void *context)
{
    (void)loop, (void)lane;
    run(context);
    run_later(done, context);
}

/* --- tls, dns, ipc: not what is tried here --- */
struct tls_context *tls_client_new(const struct tls_client_params *p, struct text *error)
{
    return (void)p, (void)error, (struct tls_context *)(void *)&the_loop;
}
struct tls_context *tls_context_hold(struct tls_context *c) { return c; }
void tls_context_release(struct tls_context *c) { (void)c; }
struct stream_filter *tls_filter_new(struct tls_context *c, slice name) { return (void)c, (void)name, NULL; }
bool tls_get_info(const struct stream *s, struct tls_info *info)
{
    return (void)s, *info = (struct tls_info){ .version = "TLS" }, true;
}
struct dns_question *dns_ask_mx(struct dns *d, struct loop *l, slice n, dns_answered *a, void *c)
{
    return (void)d, (void)l, (void)n, (void)a, (void)c, NULL;
}
struct dns_question *dns_ask_addresses(struct dns *d, struct loop *l, slice n, dns_answered *a, void *c)
{
    return dns_ask_mx(d, l, n, a, c);
}
void dns_cancel(struct dns_question *q) { (void)q; }
size_t ipc_pending(const struct ipc_channel *c) { return (void)c, 0; }
void ipc_send_store(struct ipc_channel *c, const struct ipc_store *m) { (void)c, (void)m; }

/* --- spool and schedule --- */
static struct recipient recipients[3] = { { .forward_path = { LIT("a"), LIT("b.test") } },
                                          { .forward_path = { LIT("c"), LIT("b.test") } },
                                          { .forward_path = { LIT("d"), LIT("b.test") } } };
static struct envelope envelope = { .recipients = recipients, .recipient_count = 3 };
static struct spool_message message = { .envelope = &envelope, .content_octets = 12 };

bool spool_load(struct spool *spool, struct spool_message *m, struct spool_content *now, spool_loaded *loaded,
                void *context)
{
    (void)spool, (void)m, (void)loaded, (void)context;
    *now = (struct spool_content){ .octets = choices & 1 ? SLICE(".x\r\n.\r\ny\n.z") : SLICE("a: b\r\n\r\nx\r\n"),
                                   .fd = -1 };
    loads++;
    return true;
}
void spool_release(struct spool *spool, struct spool_message *m) { (void)spool, (void)m, loads--; }
void task_set_outcome(struct task *task, const struct outcome *outcome)
{
    for (size_t i = 0; i < task->recipient_count; i++)
        if (task->recipients[i].outcome.action == ACTION_NONE)
            outcome_copy(&task->memory, &task->recipients[i].outcome, outcome);
}
static struct task *next_task(void *schedule, void *destination)
{
    (void)schedule, (void)destination;
    if (tasks_made == 5)
        return NULL;
    size_t count = 1 + (size_t)tasks_made++ % 3;
    struct task *task = memory_new(sizeof(*task) + count * sizeof(task->recipients[0]));
    task->message = &message;
    task->recipient_count = count;
    for (size_t i = 0; i < count; i++)
        task->recipients[i].index = (uint32_t)i;
    tasks_open++;
    return task;
}
static void task_done(void *schedule, void *destination, struct task *task)
{
    (void)schedule, (void)destination;
    for (size_t i = 1; i < task->recipient_count; i++)
        if ((task->recipients[i].outcome.action == ACTION_NONE) != (task->recipients[0].outcome.action == ACTION_NONE))
            abort();
    arena_free(&task->memory);
    memory_free(task);
    tasks_open--;
}
static void closed(void *schedule, void *destination, struct connection *c, const struct connection_end *end)
{
    (void)schedule, (void)destination, (void)c, (void)end;
    if (tasks_open != 0)
        abort();
    closed_count++;
}

static void turn(void)
{
    now_ms += 10;
    while (later_count > 0) {
        later_count--;
        later[later_count].function(later[later_count].context);
    }
    if (connected) {
        stream_connected *call = connected;
        connected = NULL;
        stream_is_open = true;
        call(connected_context, &the_stream, IO_OK);
    }
    if (handshake_is_due) {
        handshake_is_due = false;
        events->on_secured(events_context, choices & 2 ? IO_TLS : IO_OK);
    }
    the_loop.hook->function(the_loop.hook->context);
}

static void time_runs_out(void)
{
    for (size_t i = 0; i < COUNT(set_timers); i++) {
        struct timer *timer = set_timers[i];
        if (!timer)
            continue;
        timer_clear(&the_loop, timer);
        timer->function(timer->context);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    choices = data[0];
    loads = tasks_open = tasks_made = closed_count = 0;
    later_count = 0;
    connected = NULL;
    stream_is_open = handshake_is_due = false;
    memset(set_timers, 0, sizeof(set_timers));
    struct deliverer *d = deliverer_new(&(struct deliver_doors){ .loop = &the_loop });
    deliverer_set_schedule(d, (struct delivery_schedule_door){ next_task, task_done, closed, NULL });
    deliverer_configure(d, &(struct deliver_params){ .hostname = SLICE("us.test"), .idle_ms = 1000 });
    struct destination to = { .kind = choices & 4 ? DESTINATION_LMTP : DESTINATION_HOST,
                              .host = SLICE("127.0.0.1"),
                              .name = SLICE("x"),
                              .key = SLICE("x"),
                              .port = 25 };
    to.tls = choices & 8    ? DESTINATION_TLS_OPPORTUNISTIC
             : choices & 16 ? DESTINATION_TLS_REQUIRED
                            : DESTINATION_TLS_NONE;
    if (choices & 32)
        to.username = SLICE("user"), to.password = SLICE("secret");
    struct delivery_deliver_door door = deliverer_door(d);
    door.open(door.deliver, &to, NULL);
    turn();
    turn();
    for (size_t at = 1; at < size && closed_count == 0; turn()) {
        size_t octets = size_min(data[at], size - at - 1);
        bool is_end = data[at] == 0, is_late = data[at] == 1;
        at++;
        if (is_late) {
            time_runs_out();
        } else if (stream_is_open && is_end) {
            events->on_end(events_context, IO_END);
        } else if (stream_is_open && !is_end) {
            char *piece =
                octets ? memory_copy(data + at, octets) : NULL; /* its own memory: a step past the end is seen */
            events->on_bytes(events_context, slice_from(piece, octets));
            memory_free(piece);
            at += octets;
        }
    }
    deliverer_free(d);
    while (later_count > 0) {
        later_count--;
        later[later_count].function(later[later_count].context);
    }
    if (closed_count != 1 || tasks_open != 0 || loads != 0)
        abort();
    return 0;
}
