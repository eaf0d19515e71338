#include "receive/fake_world.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>

/* --- io ------------------------------------------------------------------------------------------------------- */

struct loop {
    struct heap timers;
    uint64_t now_ms;
};

uint64_t loop_now_ms(const struct loop *loop) { return loop->now_ms; }
uint64_t loop_wall_ms(const struct loop *loop) { return 1700000000000 + loop->now_ms; }

void timer_set(struct loop *loop, struct timer *timer, uint64_t after_ms, loop_function *function, void *context)
{
    timer->function = function;
    timer->context = context;
    heap_set(&loop->timers, &timer->node, loop->now_ms + after_ms);
}

void timer_clear(struct loop *loop, struct timer *timer) { heap_remove(&loop->timers, &timer->node); }

struct stream {
    struct list listed;
    struct world *world;
    const struct stream_events *events;
    void *context;
    struct address peer;
    struct text out, in;
    size_t told, unread; /* of out: what the test has seen; what the client has not taken */
    bool is_paused, is_closed, in_handshake, stops_reading, was_full;
    struct stream_filter *filter;
};
static struct list streams;

void stream_start(struct stream *s, const struct stream_events *events, void *context)
{
    s->events = events;
    s->context = context;
}
void stream_pause(struct stream *s) { s->is_paused = true; }
void stream_resume(struct stream *s) { s->is_paused = false; }
size_t stream_pending(const struct stream *s) { return s->unread; }
const struct address *stream_peer(const struct stream *s) { return &s->peer; }
const char *stream_error_text(const struct stream *s) { return s->in_handshake ? "no shared cipher" : ""; }
void stream_close(struct stream *s) { s->is_closed = true; }
void stream_abort(struct stream *s) { s->is_closed = true; }

void stream_write(struct stream *s, slice octets)
{
    assert(!s->is_closed);
    text_add(&s->out, octets);
    if (s->stops_reading)
        s->unread += octets.len;
    s->was_full = s->was_full || s->unread >= 256 * 1024;
}

struct listener {
    enum listener_role role;
    listener_accepted *accepted;
    void *context;
};
static struct listener *listeners[4];

/* The fake descriptor is the role's number. */
struct listener *listener_new(struct loop *loop, int fd, listener_accepted *accepted, void *context)
{
    (void)loop;
    struct listener *listener = MEMORY_NEW(struct listener);
    *listener = (struct listener){ (enum listener_role)fd, accepted, context };
    listeners[fd] = listener;
    return listener;
}
void listener_free(struct listener *listener)
{
    listeners[listener->role] = NULL;
    memory_free(listener);
}

const char *io_result_text(enum io_result result) { return result == IO_RESET ? "connection reset" : "failed"; }

/* --- tls ------------------------------------------------------------------------------------------------------ */

struct tls_context {
    int references;
};
static struct tls_context tls;
struct tls_context *tls_context_hold(struct tls_context *context)
{
    context->references++;
    return context;
}
void tls_context_release(struct tls_context *context) { context->references--; }

struct stream_filter *tls_filter_new(struct tls_context *context, slice server_name)
{
    (void)context, (void)server_name;
    return MEMORY_NEW(struct stream_filter);
}
void stream_secure(struct stream *s, struct stream_filter *filter)
{
    assert(!s->filter);
    s->filter = filter;
    s->in_handshake = true;
}
bool tls_get_info(const struct stream *s, struct tls_info *info)
{
    *info = (struct tls_info){ .version = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384" };
    return s->filter != NULL;
}

/* --- spool ---------------------------------------------------------------------------------------------------- */

struct commit {
    struct list listed;
    spool_done *done;
    void *context;
    struct message_seen *seen;
};
struct question {
    struct list listed;
    struct world *world;
    void (*answer)(void *context, bool ok, bool temporary, slice account);
    void *context;
    bool is_right;
};
struct spool {
    struct world *world;
    struct list commits, questions;
    uint64_t next_id;
};
struct spool_draft {
    struct spool *spool;
    struct text content;
    uint64_t id;
};

void text_add_message_id(struct text *to, uint64_t id) { text_add_hex(to, id, 16); }
enum spool_result spool_has_room(struct spool *spool, uint64_t octets)
{
    (void)octets;
    return spool->world->room;
}
struct spool_draft *spool_begin(struct spool *spool)
{
    struct spool_draft *draft = MEMORY_NEW(struct spool_draft);
    draft->spool = spool;
    draft->id = spool->next_id++;
    spool->world->drafts_open++;
    return draft;
}
uint64_t spool_draft_id(const struct spool_draft *draft) { return draft->id; }
enum spool_result spool_append(struct spool_draft *draft, slice content)
{
    text_add(&draft->content, content);
    return draft->spool->world->append_result;
}
void spool_abandon(struct spool_draft *draft)
{
    draft->spool->world->drafts_open--;
    text_free(&draft->content);
    memory_free(draft);
}

void spool_commit(struct spool_draft *draft, const struct envelope *envelope, uint32_t header_octets, spool_done *done,
                  void *context)
{
    struct commit *commit = MEMORY_NEW(struct commit);
    struct message_seen *seen = MEMORY_NEW(struct message_seen);
    seen->id = draft->id;
    seen->envelope = envelope_copy(&seen->memory, envelope);
    seen->content = arena_copy(&seen->memory, text_slice(&draft->content));
    seen->header_octets = header_octets;
    seen->message =
        (struct spool_message){ .id = draft->id, .envelope = seen->envelope, .content_octets = seen->content.len };
    assert(header_octets <= seen->content.len);
    *commit = (struct commit){ .done = done, .context = context, .seen = seen };
    list_append(&draft->spool->commits, &commit->listed);
    spool_abandon(draft);
}

static void seen_free(struct message_seen *seen)
{
    arena_free(&seen->memory);
    memory_free(seen);
}

static void finish_commit(struct world *w, struct commit *commit)
{
    bool ok = w->commit_result == SPOOL_OK;
    struct message_seen *seen = commit->seen;
    bool is_shown = ok && w->seen_count < COUNT(w->seen);
    if (is_shown)
        w->seen[w->seen_count] = seen;
    if (ok)
        w->seen_count++;
    commit->done(commit->context, w->commit_result, ok ? &seen->message : NULL);
    if (!is_shown)
        seen_free(seen);
    memory_free(commit);
}

static void accepted(void *schedule, struct spool_message *message)
{
    (void)message;
    ((struct world *)schedule)->accepted++;
}

/* --- keyring -------------------------------------------------------------------------------------------------- */

static void *verify_password(void *keyring, slice name, slice password,
                             void (*answer)(void *context, bool ok, bool temporary, slice account), void *context)
{
    struct world *w = keyring;
    struct question *question = MEMORY_NEW(struct question);
    question->world = w;
    question->answer = answer;
    question->context = context;
    question->is_right = slice_eq_nocase(name, SLICE("ann@example.org")) && slice_eq(password, SLICE("secret"));
    list_append(&w->spool->questions, &question->listed);
    return question;
}

static void cancel_verify(void *keyring, void *request)
{
    (void)keyring;
    struct question *question = request;
    list_remove(&question->listed);
    memory_free(question);
}

static void answer_question(struct question *question)
{
    bool is_away = question->world->keyring_is_away;
    question->answer(question->context, question->is_right && !is_away, is_away, SLICE("ann@example.org"));
    memory_free(question);
}

/* --- the world ------------------------------------------------------------------------------------------------ */

static struct config *make_config(const char *limits)
{
    struct text yaml = { 0 };
    text_add_cstr(&yaml, "hostname: mx.example.org\nrelay_from: [192.0.2.0/24]\n"
                         "listeners:\n  - role: mx\n    address: 127.0.0.1:25\n");
    if (limits)
        text_add_format(&yaml, "limits:\n%s", limits);
    static struct config_mistakes mistakes;
    struct config *config = config_read_text(text_slice(&yaml), "test.yaml", ".", &mistakes);
    for (size_t i = 0; !config && i < mistakes.count; i++)
        dprintf(2, SLICE_FMT ": " SLICE_FMT "\n", SLICE_ARG(mistakes.items[i].option),
                SLICE_ARG(mistakes.items[i].what));
    config_mistakes_free(&mistakes);
    text_free(&yaml);
    if (!config)
        abort();
    return config;
}

static struct directory *make_directory(void)
{
    struct directory *directory = directory_new();
    directory_add_domain(directory, SLICE("example.org"), (slice){ 0 }, SLICE("+"));
    directory_add_mailbox(directory, SLICE("ann@example.org"));
    directory_add_mailbox(directory, SLICE("bob@example.org"));
    slice friends[] = { LIT("ann@example.org"), LIT("carl@outside.example") };
    directory_add_alias(directory, SLICE("friends@example.org"), friends, COUNT(friends));
    slice loops[] = { LIT("loop2@example.org") }, back[] = { LIT("loop@example.org") };
    directory_add_alias(directory, SLICE("loop@example.org"), loops, COUNT(loops));
    directory_add_alias(directory, SLICE("loop2@example.org"), back, COUNT(back));
    directory_finish(directory);
    return directory;
}

struct world *world_new(const char *limits)
{
    struct world *w = MEMORY_NEW(struct world);
    struct text error = { 0 };
    list_init(&streams);
    w->loop = MEMORY_NEW(struct loop);
    w->loop->now_ms = 1000;
    w->spool = MEMORY_NEW(struct spool);
    w->spool->world = w;
    w->spool->next_id = 0x1000;
    list_init(&w->spool->commits);
    list_init(&w->spool->questions);
    w->events = event_log_open(&(struct event_log_params){ .process = "test", .text_level = EVENT_TEXT_NONE }, &error);
    w->receiver = receiver_new(&(struct receive_doors){
        .loop = w->loop,
        .spool = w->spool,
        .events = w->events,
        .verify_password = verify_password,
        .cancel_verify = cancel_verify,
        .keyring = w,
        .accepted = accepted,
        .schedule = w,
    });
    w->config = make_config(limits);
    struct directory *directory = make_directory();
    receiver_configure(w->receiver, w->config, &tls, directory);
    directory_release(directory);
    for (int role = ROLE_MX; role <= ROLE_ALTERNATIVE; role++)
        receiver_listen(w->receiver, role, SLICE("test"), (enum listener_role)role);
    text_free(&error);
    return w;
}

static void stream_free(struct stream *s)
{
    list_remove(&s->listed);
    text_free(&s->out);
    text_free(&s->in);
    memory_free(s->filter);
    memory_free(s);
}

void world_free(struct world *w)
{
    receiver_free(w->receiver);
    for (struct list *node; (node = list_take_first(&streams));)
        stream_free(LIST_ITEM(node, struct stream, listed));
    for (struct list *node; (node = list_take_first(&w->spool->commits));) {
        struct commit *commit = LIST_ITEM(node, struct commit, listed);
        seen_free(commit->seen);
        memory_free(commit);
    }
    for (size_t i = 0; i < size_min(w->seen_count, COUNT(w->seen)); i++)
        seen_free(w->seen[i]);
    config_release(w->config);
    event_log_close(w->events);
    heap_free(&w->loop->timers);
    memory_free(w->loop);
    memory_free(w->spool);
    memory_free(w);
}

static struct stream *new_stream(struct world *w)
{
    struct stream *s = MEMORY_NEW(struct stream);
    s->world = w;
    list_append(&streams, &s->listed);
    return s;
}

struct stream *world_connect(struct world *w, enum listener_role role, const char *address)
{
    struct stream *s = new_stream(w);
    if (!address_parse(slice_from_cstr(address), &s->peer))
        abort();
    listeners[role]->accepted(listeners[role]->context, s);
    return s;
}

struct stream *world_adopt(struct world *w, const char *account)
{
    struct stream *s = new_stream(w);
    s->peer.any.sa_family = AF_UNIX;
    receiver_adopt(w->receiver, s, slice_from_cstr(account));
    return s;
}

/* The callee sees a copy of exactly these octets, so that a sanitizer notices who looks past them. */
static void deliver(struct stream *s, slice octets)
{
    char *copy = memory_copy(octets.ptr, octets.len);
    s->events->on_bytes(s->context, slice_from(copy, octets.len));
    memory_free(copy);
}

void world_send(struct stream *s, slice octets)
{
    if (s->is_closed || octets.len == 0)
        return;
    if (s->is_paused || s->in_handshake)
        text_add(&s->in, octets);
    else
        deliver(s, octets);
}

static void end(struct stream *s, enum io_result why)
{
    if (!s->is_closed)
        s->events->on_end(s->context, why);
}
void world_hang_up(struct stream *s) { end(s, IO_END); }
void world_break(struct stream *s) { end(s, IO_RESET); }

static bool resume_streams(void)
{
    bool did = false;
    LIST_EACH(&streams, node) {
        struct stream *s = LIST_ITEM(node, struct stream, listed);
        if (s->in.len > 0 && !s->is_paused && !s->in_handshake && !s->is_closed) {
            struct text in = s->in;
            s->in = (struct text){ 0 };
            deliver(s, text_slice(&in));
            text_free(&in);
            did = true;
        }
        if (s->was_full && s->unread == 0 && !s->is_closed) {
            s->was_full = false;
            s->events->on_drained(s->context);
            did = true;
        }
    }
    return did;
}

static bool finish_one(struct world *w)
{
    struct list *node;
    if (!w->commits_wait && (node = list_take_first(&w->spool->commits)))
        finish_commit(w, LIST_ITEM(node, struct commit, listed));
    else if (!w->answers_wait && (node = list_take_first(&w->spool->questions)))
        answer_question(LIST_ITEM(node, struct question, listed));
    else
        return false;
    return true;
}

void world_turn(struct world *w)
{
    while (finish_one(w) || resume_streams())
        ;
}

void world_pass(struct world *w, uint64_t ms)
{
    uint64_t end = w->loop->now_ms + ms;
    for (struct heap_node *node; (node = heap_first(&w->loop->timers)) && node->key <= end; world_turn(w)) {
        struct timer *timer = CONTAINER_OF(node, struct timer, node);
        w->loop->now_ms = node->key;
        heap_remove(&w->loop->timers, node);
        timer->function(timer->context);
    }
    w->loop->now_ms = end;
}

void world_finish_handshake(struct stream *s, bool ok)
{
    if (!s->in_handshake || s->is_closed)
        return;
    s->in_handshake = !ok;
    s->events->on_secured(s->context, ok ? IO_OK : IO_TLS);
}

void world_stop_reading(struct stream *s, bool stops)
{
    s->stops_reading = stops;
    if (!stops)
        s->unread = 0;
}

slice world_output(struct stream *s)
{
    slice fresh = slice_tail(text_slice(&s->out), s->told);
    s->told = s->out.len;
    return fresh;
}

bool world_is_closed(const struct stream *s) { return s->is_closed; }
bool world_is_paused(const struct stream *s) { return s->is_paused; }

slice world_say(struct world *w, struct stream *s, const char *octets)
{
    world_send(s, slice_from_cstr(octets));
    world_turn(w);
    return world_output(s);
}
