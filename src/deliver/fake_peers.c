#include "deliver/fake_peers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h> /* wants the others before it */

static struct world *the_world;
const struct fake_name *fake_names;

/* --- spool --- */

struct later {
    struct fake_message *message;
    spool_loaded *loaded;
    void *context;
};

static void fill(struct fake_message *m, struct spool_content *content)
{
    *content = (struct spool_content){ .octets = m->content, .fd = m->fd };
    if (m->fd >= 0)
        *content = (struct spool_content){ .fd = m->fd, .file_octets = m->message.content_octets };
}

static void load_now(void *context)
{
    struct later *later = context;
    struct spool_content content;
    if (the_world->load_fails) {
        later->loaded(later->context, SPOOL_DAMAGED, NULL);
    } else {
        fill(later->message, &content);
        later->message->loads++;
        later->loaded(later->context, SPOOL_OK, &content);
    }
    memory_free(later);
}

bool spool_load(struct spool *spool, struct spool_message *message, struct spool_content *now, spool_loaded *loaded,
                void *context)
{
    (void)spool;
    struct fake_message *m = CONTAINER_OF(message, struct fake_message, message);
    if (!the_world->load_later) {
        fill(m, now);
        m->loads++;
        return true;
    }
    struct later *later = MEMORY_NEW(struct later);
    *later = (struct later){ m, loaded, context };
    loop_post(the_world->loop, load_now, later);
    return false;
}

void spool_release(struct spool *spool, struct spool_message *message)
{
    (void)spool;
    struct fake_message *m = CONTAINER_OF(message, struct fake_message, message);
    m->loads--;
    assert_true(m->loads >= 0);
}

void task_set_outcome(struct task *task, const struct outcome *outcome)
{
    for (size_t i = 0; i < task->recipient_count; i++)
        if (task->recipients[i].outcome.action == ACTION_NONE)
            outcome_copy(&task->memory, &task->recipients[i].outcome, outcome);
}

/* --- names --- */

struct dns_question {
    dns_answered *answered;
    void *context;
    const struct fake_name *row;
    bool is_mx, is_cancelled;
};

static void add_mx(struct dns_answer *answer, const char *list)
{
    slice rest = slice_from_cstr(list), item, preference;
    answer->mx = ARENA_NEW_ARRAY(&answer->memory, struct dns_mx, 64);
    while (rest.len > 0) {
        rest = slice_cut(rest, ',', &item, NULL);
        slice host = slice_cut(item, ' ', &preference, NULL);
        uint64_t number;
        assert_true(parse_u64(preference, &number));
        answer->mx[answer->mx_count++] = (struct dns_mx){ .preference = (uint16_t)number, .host = host };
    }
}

static void add_addresses(struct dns_answer *answer, const char *list)
{
    slice rest = slice_from_cstr(list), item;
    answer->addresses = ARENA_NEW_ARRAY(&answer->memory, struct address, 64);
    while (rest.len > 0) {
        rest = slice_cut(rest, ',', &item, NULL);
        assert_true(address_parse(item, &answer->addresses[answer->address_count++]));
    }
}

static void answer_now(void *context)
{
    struct dns_question *question = context;
    const struct fake_name *row = question->row;
    struct dns_answer answer = { .result = row->name ? row->result : DNS_NO_NAME,
                                 .ttl_s = 60,
                                 .text = "the name server did not answer" };
    if (question->is_mx && row->mx && strcmp(row->mx, "null") == 0)
        answer.mx_is_null = true;
    else if (question->is_mx && row->mx)
        add_mx(&answer, row->mx);
    else if (!question->is_mx && row->addresses)
        add_addresses(&answer, row->addresses);
    else if (row->name && row->result == DNS_OK)
        answer.result = DNS_NO_DATA;
    if (!question->is_cancelled)
        question->answered(question->context, &answer);
    arena_free(&answer.memory);
    memory_free(question);
}

static struct dns_question *ask(slice name, bool is_mx, dns_answered *answered, void *context)
{
    const struct fake_name *row = fake_names;
    while (row->name && !slice_eq(slice_from_cstr(row->name), name))
        row++;
    struct dns_question *question = MEMORY_NEW(struct dns_question);
    *question = (struct dns_question){ .answered = answered, .context = context, .row = row, .is_mx = is_mx };
    loop_post(the_world->loop, answer_now, question);
    return question;
}

struct dns_question *dns_ask_mx(struct dns *dns, struct loop *loop, slice domain, dns_answered *answered, void *context)
{
    (void)dns, (void)loop;
    return ask(domain, true, answered, context);
}

struct dns_question *dns_ask_addresses(struct dns *dns, struct loop *loop, slice host, dns_answered *answered,
                                       void *context)
{
    (void)dns, (void)loop;
    return ask(host, false, answered, context);
}

void dns_cancel(struct dns_question *question) { question->is_cancelled = true; }

/* --- the server --- */

struct server {
    struct stream *stream;
    const char *at;
    struct text input;
    struct timer drip;
    slice drops;
};
static struct server *servers[16];
static unsigned server_count;

static void serve(struct server *);

static slice script_line(const char *at)
{
    const char *end = strchr(at, '\n');
    return end ? slice_from(at, (size_t)(end - at)) : slice_from_cstr(at);
}

static void drip(void *context)
{
    struct server *s = context;
    if (s->drops.len == 0) {
        stream_write(s->stream, SLICE("\r\n"));
        serve(s);
        return;
    }
    stream_write(s->stream, slice_head(s->drops, 1));
    s->drops = slice_tail(s->drops, 1);
    timer_set(the_world->loop, &s->drip, 20, drip, s);
}

static bool take_line(struct server *s, slice wanted)
{
    size_t end = slice_find(text_slice(&s->input), SLICE("\r\n"));
    if (end == SLICE_NOT_FOUND)
        return false;
    slice line = slice_head(text_slice(&s->input), end);
    if (!slice_eq(line, wanted))
        fail_msg("the script wants \"" SLICE_FMT "\" but got \"" SLICE_FMT "\"", SLICE_ARG(wanted), SLICE_ARG(line));
    text_remove_head(&s->input, end + 2);
    return true;
}

/* "@" any content, "@7" seven octets of it (as sent, without the final dot). */
static bool take_content(struct server *s, slice octets)
{
    slice input = text_slice(&s->input);
    size_t end = slice_starts_with(input, SLICE(".\r\n")) ? 0 : slice_find(input, SLICE("\r\n.\r\n"));
    if (end == SLICE_NOT_FOUND)
        return false;
    size_t content = end == 0 ? 0 : end + 2;
    uint64_t wanted;
    if (octets.len > 0 && parse_u64(octets, &wanted))
        assert_int_equal(content, wanted);
    text_remove_head(&s->input, content + 3);
    return true;
}

static void server_end(struct server *s, bool politely)
{
    timer_clear(the_world->loop, &s->drip);
    if (s->stream && politely)
        stream_close(s->stream);
    else if (s->stream)
        stream_abort(s->stream);
    s->stream = NULL;
}

static bool flood(struct server *s, slice count)
{
    uint64_t octets;
    assert_true(parse_u64(count, &octets));
    struct text x = { 0 };
    memset(text_reserve(&x, octets), 'x', octets);
    x.len = octets;
    stream_write(s->stream, text_slice(&x));
    text_free(&x);
    return true;
}

static bool send_line(struct server *s, slice text)
{
    stream_write(s->stream, text);
    stream_write(s->stream, SLICE("\r\n"));
    return true;
}

static bool send_raw(struct server *s, slice text)
{
    struct text out = { 0 };
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '^')
            text_add(&out, SLICE("\r\n"));
        else
            text_add_byte(&out, text.ptr[i]);
    }
    stream_write(s->stream, text_slice(&out));
    text_free(&out);
    return true;
}

/* One line of the script; false: wait for octets. */
static bool follow(struct server *s, slice line)
{
    if (slice_starts_with(line, SLICE(">>")))
        return send_raw(s, slice_tail(line, 2));
    if (slice_starts_with(line, SLICE(">")))
        return send_line(s, slice_tail(line, 1));
    if (slice_starts_with(line, SLICE("@")))
        return take_content(s, slice_tail(line, 1));
    if (slice_starts_with(line, SLICE("<")))
        return take_line(s, slice_tail(line, 1));
    if (slice_eq(line, SLICE("&")))
        return assert_true(s->input.len > 0), true;
    if (slice_eq(line, SLICE("?")))
        return assert_int_equal(s->input.len, 0), true;
    if (slice_eq(line, SLICE("DEAF")))
        return stream_pause(s->stream), true;
    if (slice_eq(line, SLICE("NUL")))
        return stream_write(s->stream, slice_from("", 1)), true;
    if (slice_starts_with(line, SLICE("FLOOD ")))
        return flood(s, slice_tail(line, 6));
    if (slice_starts_with(line, SLICE("DRIP "))) {
        s->drops = slice_tail(line, 5);
        timer_set(the_world->loop, &s->drip, 0, drip, s);
        return true;
    }
    if (slice_eq(line, SLICE("TLS"))) {
        assert_int_equal(s->input.len, 0);
        stream_secure(s->stream, tls_filter_new(the_world->server_tls, (slice){ 0 }));
        return true;
    }
    fail_msg("no such line in a script: " SLICE_FMT, SLICE_ARG(line));
    return false;
}

static void serve(struct server *s)
{
    while (s->stream && *s->at) {
        slice line = script_line(s->at);
        if (slice_eq(line, SLICE("WAIT")) || slice_eq(line, SLICE("NEXT")))
            return;
        if (slice_eq(line, SLICE("CLOSE")) || slice_eq(line, SLICE("RESET"))) {
            server_end(s, line.ptr[0] == 'C');
            return;
        }
        if (!follow(s, line))
            return;
        s->at += line.len + (s->at[line.len] == '\n');
        if (slice_starts_with(line, SLICE("DRIP")) || slice_eq(line, SLICE("TLS")))
            return;
    }
}

static void server_bytes(void *context, slice bytes)
{
    struct server *s = context;
    text_add(&s->input, bytes);
    if (!timer_is_set(&s->drip))
        serve(s);
}

static void server_gone(void *context, enum io_result why)
{
    (void)why;
    server_end(context, true);
}

static void server_secured(void *context, enum io_result why)
{
    if (why == IO_OK)
        serve(context);
    else
        server_end(context, true);
}

static void on_accepted(void *context, struct stream *stream)
{
    static const struct stream_events events = { .on_bytes = server_bytes,
                                                 .on_end = server_gone,
                                                 .on_secured = server_secured };
    struct world *w = context;
    struct server *s = MEMORY_NEW(struct server);
    assert_true(server_count < COUNT(servers));
    servers[server_count++] = s;
    s->stream = stream;
    s->at = w->script;
    w->accepted++;
    const char *next = strstr(w->script, "NEXT\n");
    w->script = next ? next + strlen("NEXT\n") : "WAIT\n";
    stream_start(stream, &events, s);
    serve(s);
}

/* --- the schedule --- */

static struct task *next_task(void *schedule, void *destination)
{
    struct world *w = schedule;
    assert_ptr_equal(destination, w);
    struct list *node = list_take_first(&w->waiting);
    if (!node) {
        if (w->asked)
            w->asked(w);
        return NULL;
    }
    struct fake_message *m = LIST_ITEM(node, struct fake_message, waiting);
    struct task *task = m->task;
    m->task = NULL;
    return task;
}

static struct task *make_task(struct fake_message *m)
{
    size_t count = m->envelope.recipient_count;
    struct task *task = memory_new(sizeof(*task) + count * sizeof(task->recipients[0]));
    task->message = &m->message;
    task->recipient_count = count;
    for (size_t i = 0; i < count; i++)
        task->recipients[i].index = (uint32_t)i;
    return task;
}

static void log_outcome(struct world *w, const struct outcome *o)
{
    text_add_format(&w->log, "%s %s %u.%u.%u %u " SLICE_FMT, o->action == ACTION_NONE ? "none" : action_name(o->action),
                    delivery_stage_name(o->stage), o->status.class, o->status.subject, o->status.detail, o->reply_code,
                    SLICE_ARG(o->text));
    if (o->tls.len > 0)
        text_add_cstr(&w->log, " (TLS)");
    text_add_byte(&w->log, '\n');
}

static void task_done(void *schedule, void *destination, struct task *task)
{
    struct world *w = schedule;
    (void)destination;
    struct fake_message *m = CONTAINER_OF(task->message, struct fake_message, message);
    bool is_put_back = task->recipients[0].outcome.action == ACTION_NONE;
    for (size_t i = 0; i < task->recipient_count; i++) {
        assert_true((task->recipients[i].outcome.action == ACTION_NONE) == is_put_back);
        text_add_format(&w->log, "%zu.%zu ", (size_t)(m - w->messages) + 1, i + 1);
        log_outcome(w, &task->recipients[i].outcome);
    }
    arena_free(&task->memory);
    memory_free(task);
    if (is_put_back) {
        m->task = make_task(m);
        list_prepend(&w->waiting, &m->waiting);
    }
}

static void open_connection(struct world *w)
{
    struct delivery_deliver_door door = deliverer_door(w->deliverer);
    w->opened++;
    w->connection = door.open(door.deliver, &w->destination, w);
}

static void stop_soon(void *context) { loop_stop(context); }

static void closed(void *schedule, void *destination, struct connection *connection, const struct connection_end *end)
{
    static struct timer timer;
    struct world *w = schedule;
    (void)destination;
    assert_ptr_equal(connection, w->connection);
    text_add_cstr(&w->log, end->was_usable ? "end usable" : "end unusable");
    text_add_cstr(&w->log, end->failure.action == ACTION_NONE ? "\n" : " ");
    if (end->failure.action != ACTION_NONE)
        log_outcome(w, &end->failure);
    w->connection = NULL;
    if (!list_is_empty(&w->waiting) && w->opened < w->opens_max)
        open_connection(w);
    else
        timer_set(w->loop, &timer, 50, stop_soon, w->loop); /* QUIT still goes out */
}

/* --- the world --- */

static struct ipc_channel *mailbox(void *owner)
{
    struct world *w = owner;
    return w->mailbox;
}

void world_new(struct world *w, const char *script, const struct deliver_params *params)
{
    *w = (struct world){ .script = script, .opens_max = 1 };
    the_world = w;
    server_count = 0;
    list_init(&w->waiting);
    w->loop = loop_new("test");
    assert_true(address_parse_with_port(SLICE("127.0.0.1:0"), &w->address));
    int fd = listener_bind(&w->address, false);
    assert_true(fd >= 0);
    socklen_t length = sizeof(w->address);
    assert_int_equal(getsockname(fd, &w->address.any, &length), 0);
    w->listener = listener_new(w->loop, fd, on_accepted, w);
    struct deliver_doors doors = { .loop = w->loop, .dns = (struct dns *)(void *)w, .mailbox = mailbox, .owner = w };
    w->deliverer = deliverer_new(&doors);
    deliverer_set_schedule(w->deliverer, (struct delivery_schedule_door){ next_task, task_done, closed, w });
    struct deliver_params usual = {
        .hostname = SLICE("us.test"), .connect_timeout_ms = SECONDS(20), .idle_ms = 30, .reply_timeout_ms = SECONDS(20)
    };
    deliverer_configure(w->deliverer, params ? params : &usual);
    w->destination = (struct destination){ .kind = DESTINATION_HOST,
                                           .key = SLICE("host:here"),
                                           .name = SLICE("here"),
                                           .host = SLICE("127.0.0.1"),
                                           .port = address_port(&w->address) };
}

struct fake_message *world_add_message(struct world *w, size_t recipients, slice content)
{
    static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    assert_true(w->message_count < COUNT(w->messages) && recipients <= COUNT(names));
    struct fake_message *m = &w->messages[w->message_count++];
    m->content = content;
    m->fd = -1;
    m->message = (struct spool_message){ .id = w->message_count,
                                         .envelope = &m->envelope,
                                         .recipients = m->states,
                                         .open_recipients = recipients,
                                         .content_octets = content.len };
    m->envelope = (struct envelope){ .reverse_path = { SLICE("me"), SLICE("us.test") },
                                     .recipients = m->recipients,
                                     .recipient_count = recipients };
    for (size_t i = 0; i < recipients; i++) {
        m->recipients[i].forward_path = (struct path){ slice_from_cstr(names[i]), SLICE("there.test") };
        m->recipients[i].original = m->recipients[i].forward_path;
    }
    m->task = make_task(m);
    list_append(&w->waiting, &m->waiting);
    return m;
}

static void too_late(void *context)
{
    struct world *w = context;
    fail_msg("the deliverer did not come to an end; so far:\n" SLICE_FMT, SLICE_ARG(text_slice(&w->log)));
}

void world_run(struct world *w)
{
    struct timer guard = { 0 };
    timer_set(w->loop, &guard, SECONDS(40), too_late, w);
    open_connection(w);
    loop_run(w->loop);
    timer_clear(w->loop, &guard);
}

void world_assert_log(const struct world *w, const char *name, const char *wanted)
{
    slice got = text_slice(&w->log), before, after;
    bool has_star;
    after = slice_cut(slice_from_cstr(wanted), '*', &before, &has_star);
    bool is_right = has_star ? slice_starts_with(got, before) && slice_ends_with(got, after) : slice_eq(got, before);
    if (!is_right)
        fail_msg("%s:\nwanted\n%s\ngot\n" SLICE_FMT, name, wanted, SLICE_ARG(got));
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < server_count; i++) {
        server_end(servers[i], false);
        text_free(&servers[i]->input);
        memory_free(servers[i]);
    }
    deliverer_free(w->deliverer);
    listener_free(w->listener);
    for (size_t i = 0; i < w->message_count; i++) {
        assert_int_equal(w->messages[i].loads, 0);
        if (w->messages[i].task)
            arena_free(&w->messages[i].task->memory);
        memory_free(w->messages[i].task);
        if (w->messages[i].fd >= 0)
            close(w->messages[i].fd);
    }
    loop_free(w->loop);
    if (w->server_tls)
        tls_context_release(w->server_tls);
    text_free(&w->log);
}
