#include "base/memory.h"
#include "deliver/connection.h"
#include "deliver/verdict.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
/*
 * mailbox_client - mail for our own mailboxes, and captured mail: a request to the mailbox process for each recipient
 * of each message, many without an answer at once, bounded by their number and by the octets that wait in the channel.
 *
 * Final delivery puts Return-Path: on top (RFC 5321 §4.4), and Delivered-To:, X-Original-To: so that a reader sees
 * which address brought the message here.
 */
enum {
    STORES_MAX = 512,
    FILES_MAX = 32,
    PENDING_MAX = 4 * 1024 * 1024,
    INLINE_MAX = 4 * 1024 * 1024,
    STORES_PER_TURN = 256,
    STORE_NAME_MAX = 64,
    LOSSES_MAX = 3 /* ends of the process in a row without an answer between them */
};
static const uint64_t WAIT_FOR_PROCESS_MS = 200, WAIT_FOR_PROCESS_MAX_MS = SECONDS(30);

struct mailbox_client {
    struct connection base;
    struct list loading, sending, waiting; /* struct store_task: each in one of them */
    size_t stores, files;                  /* requests without an answer; those of them with a descriptor */
    struct timer timer;                    /* idle, or waiting for the process */
    uint64_t process_missed_ms;            /* since when there is no channel; 0: there is one */
};
/* A task and how many answers it waits for. */
struct store_task {
    struct list place;
    struct mailbox_client *client; /* NULL: the connection ended while the content was loading */
    struct spool *spool;
    struct spool_message *message;
    struct task *task;
    struct spool_content content;
    size_t next; /* the recipient whose request is next */
    size_t waits_for;
    bool is_loaded, is_loading;
};
struct store_request {
    uint64_t id;
    struct store_task *store;
    size_t recipient;
    bool has_file;
};

static struct mailbox_client *client_of(struct connection *c) { return CONTAINER_OF(c, struct mailbox_client, base); }

static bool is_empty(const struct mailbox_client *c)
{
    return list_is_empty(&c->loading) && list_is_empty(&c->sending) && list_is_empty(&c->waiting);
}

/* --- outcomes --- */

static slice mailbox_name(struct mailbox_client *c, struct task *task, size_t i)
{
    if (c->base.destination.mailbox.len > 0)
        return c->base.destination.mailbox;
    struct text *name = &c->base.deliverer->scratch;
    text_clear(name);
    text_add_mailbox(name, task_recipient_address(task, i)->forward_path);
    return text_slice(name);
}

static void conclude(struct store_task *store, size_t i, struct outcome o)
{
    o.remote_name = mailbox_name(store->client, store->task, i);
    task_set_recipient_outcome(store->task, i, &o);
}

static void store_put(struct store_task *store)
{
    if (store->is_loaded)
        spool_release(store->spool, store->message);
    memory_free(store);
}

/* The task is through: every recipient has its answer. */
static void finish(struct store_task *store)
{
    struct mailbox_client *c = store->client;
    struct task *task = store->task;
    list_remove(&store->place);
    store->client = NULL;
    store->task = NULL;
    if (!store->is_loading)
        store_put(store);
    connection_task_done(&c->base, task);
}

static void fail_task(struct store_task *store, struct outcome o)
{
    for (size_t i = 0; i < store->task->recipient_count; i++)
        if (store->task->recipients[i].outcome.action == ACTION_NONE)
            conclude(store, i, o);
    finish(store);
}

/* --- requests --- */

static void add_head(struct text *head, const struct envelope *envelope, const struct recipient *r)
{
    text_add(head, SLICE("Return-Path: "));
    text_add_path(head, envelope->reverse_path);
    text_add(head, SLICE("\r\nDelivered-To: "));
    text_add_mailbox(head, r->forward_path);
    text_add(head, SLICE("\r\n"));
    if (r->original.local_part.len > 0 && !path_eq(r->original, r->forward_path)) {
        text_add(head, SLICE("X-Original-To: "));
        text_add_mailbox(head, r->original);
        text_add(head, SLICE("\r\n"));
    }
}

/* What is too much for one frame of the channel goes as a file in memory. */
static int file_of(slice octets)
{
    int fd = memfd_create("message", MFD_CLOEXEC);
    while (fd >= 0 && octets.len > 0) {
        ssize_t written = write(fd, octets.ptr, octets.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            close(fd);
            return -1;
        }
        octets = slice_tail(octets, (size_t)written);
    }
    return fd;
}

/* The process owns what it gets: a large content goes as a duplicate of the spool's descriptor. */
static bool attach(struct ipc_store *m, const struct spool_content *content)
{
    bool is_inline = content->fd < 0 && content->octets.len <= INLINE_MAX;
    m->file = -1;
    if (is_inline)
        m->content = content->octets;
    else if (content->fd < 0)
        m->file = file_of(content->octets);
    else
        m->file = fcntl(content->fd, F_DUPFD_CLOEXEC, 3);
    m->octets = content->fd < 0 ? content->octets.len : content->file_octets;
    return is_inline || m->file >= 0;
}

/* The same at every attempt: a copy that is in the mailbox although we never heard so is recognized there. */
static slice name_copy(char name[STORE_NAME_MAX], const struct task *task, size_t i)
{
    int len = snprintf(name, STORE_NAME_MAX, "%" PRIu64 ".I" MESSAGE_ID_FORMAT "R%" PRIu32,
                       task->message->envelope->arrived_ms / 1000, task->message->id, task->recipients[i].index);
    return slice_from(name, (size_t)len);
}

static void request_store(struct store_task *store, struct ipc_channel *channel, size_t i)
{
    struct mailbox_client *c = store->client;
    struct deliverer *d = c->base.deliverer;
    const struct recipient *r = task_recipient_address(store->task, i);
    slice mailbox = c->base.destination.mailbox;
    struct ipc_store m = { .request = ++d->last_store,
                           .local_part = r->forward_path.local_part,
                           .domain = r->forward_path.domain };
    if (mailbox.len > 0) {
        m.local_part = slice_head(mailbox, slice_find_byte_last(mailbox, '@'));
        m.domain = slice_tail(mailbox, m.local_part.len + 1);
    }
    if (!attach(&m, &store->content)) {
        conclude(store, i, verdict_delayed(STAGE_MAILBOX, 3, 0, SLICE("out of file descriptors")));
        return;
    }
    char name[STORE_NAME_MAX];
    m.name = name_copy(name, store->task, i);
    struct text *head = &d->scratch;
    text_clear(head);
    add_head(head, store->task->message->envelope, r);
    m.head = text_slice(head);
    struct store_request *request = MEMORY_NEW(struct store_request);
    *request = (struct store_request){ .id = m.request, .store = store, .recipient = i, .has_file = m.file >= 0 };
    id_map_set(&d->stores, m.request, request);
    store->waits_for++;
    c->stores++;
    c->files += request->has_file;
    ipc_send_store(channel, &m);
}

/* The next request of what is loaded. */
static void send_next(struct mailbox_client *c, struct ipc_channel *channel)
{
    struct store_task *store = LIST_ITEM(list_first(&c->sending), struct store_task, place);
    request_store(store, channel, store->next++);
    if (store->next < store->task->recipient_count)
        return;
    list_remove(&store->place);
    list_append(&c->waiting, &store->place);
    if (store->waits_for == 0)
        finish(store);
}

static void take_loaded(struct store_task *store, enum spool_result result)
{
    store->is_loading = false;
    store->is_loaded = result == SPOOL_OK;
    list_remove(&store->place);
    list_append(&store->client->sending, &store->place);
    if (result == SPOOL_DAMAGED)
        fail_task(store, verdict_failed(STAGE_MAILBOX, 3, 0,
                                        SLICE("the content of the message is damaged on this server's disk")));
    else if (result != SPOOL_OK)
        fail_task(store, verdict_delayed(STAGE_MAILBOX, 3, 0, SLICE("the message could not be read from the spool")));
}

static void on_loaded(void *context, enum spool_result result, const struct spool_content *content)
{
    struct store_task *store = context;
    if (result == SPOOL_OK)
        store->content = *content;
    struct mailbox_client *c = store->client;
    if (!c) {
        store->is_loaded = result == SPOOL_OK;
        store_put(store);
        return;
    }
    take_loaded(store, result);
    connection_wake(&c->base);
}

static void begin(struct mailbox_client *c, struct task *task)
{
    struct store_task *store = MEMORY_NEW(struct store_task);
    *store = (struct store_task){
        .client = c, .spool = c->base.deliverer->doors.spool, .message = task->message, .task = task
    };
    task->was_tried = true;
    list_append(&c->loading, &store->place);
    if (spool_load(store->spool, task->message, &store->content, on_loaded, store))
        take_loaded(store, SPOOL_OK);
    else
        store->is_loading = true;
}

/* --- answers --- */

static void apply_answer(struct store_request *request, const struct ipc_stored *answer)
{
    struct outcome o;
    if (answer->ok)
        o = (struct outcome){
            .action = ACTION_DELIVERED, .stage = STAGE_MAILBOX, .status = { 2, 0, 0 }, .text = answer->text
        };
    else if (answer->temporary)
        o = verdict_delayed(STAGE_MAILBOX, 2, 0, answer->text);
    else
        o = verdict_failed(STAGE_MAILBOX, 2, 0, answer->text);
    conclude(request->store, request->recipient, o);
}

static void take_answer(struct store_request *request)
{
    struct store_task *store = request->store;
    struct mailbox_client *c = store->client;
    c->stores--;
    c->files -= request->has_file;
    memory_free(request);
    if (--store->waits_for == 0 && store->next == store->task->recipient_count)
        finish(store);
    connection_wake(&c->base);
}

void mailbox_client_answered(struct deliverer *d, const struct ipc_stored *answer)
{
    struct store_request *request = id_map_remove(&d->stores, answer->request);
    if (!request)
        return; /* from before a restart */
    d->mailbox_losses = 0;
    apply_answer(request, answer);
    take_answer(request);
}

/* What it was doing at that moment is not known. Copies keep their names, so all can be asked for again at once, unless
 * it ends again and again: then a message may be why, and its turn comes with the retries. */
void mailbox_client_lost(struct deliverer *d)
{
    static const slice text = LIT("the mailbox process ended before it answered");
    bool again = ++d->mailbox_losses <= LOSSES_MAX;
    struct id_map stores = d->stores;
    d->stores = (struct id_map){ 0 };
    size_t position = 0;
    struct store_request *request;
    while ((request = id_map_next(&stores, &position))) {
        if (!again)
            conclude(request->store, request->recipient, verdict_delayed(STAGE_MAILBOX, 3, 0, text));
        take_answer(request);
    }
    id_map_free(&stores);
}

/* --- the kind --- */

static void on_idle_end(void *context)
{
    struct mailbox_client *c = context;
    connection_end(&c->base, NULL);
}

static void on_wait_end(void *context)
{
    struct mailbox_client *c = context;
    connection_wake(&c->base);
}

/* A restart takes a moment: the mail should not wait for the next attempt because of it. */
static void wait_for_process(struct mailbox_client *c)
{
    const struct deliverer *d = c->base.deliverer;
    struct loop *loop = d->doors.loop;
    uint64_t at_most_ms = d->reply_timeout_ms ? d->reply_timeout_ms : WAIT_FOR_PROCESS_MAX_MS;
    if (c->process_missed_ms == 0)
        c->process_missed_ms = loop_now_ms(loop);
    if (loop_now_ms(loop) - c->process_missed_ms < at_most_ms || !is_empty(c)) { /* what is in hand has nowhere else */
        timer_set(loop, &c->timer, WAIT_FOR_PROCESS_MS, on_wait_end, c);
    } else {
        struct outcome why = verdict_delayed(STAGE_MAILBOX, 3, 2, SLICE("the mailbox process does not come back"));
        connection_end(&c->base, &why);
    }
}

static bool has_room(const struct mailbox_client *c, const struct ipc_channel *channel)
{
    return c->stores < STORES_MAX && c->files < FILES_MAX && ipc_pending(channel) < PENDING_MAX;
}

static void run(struct connection *base)
{
    struct mailbox_client *c = client_of(base);
    struct deliverer *d = base->deliverer;
    timer_clear(d->doors.loop, &c->timer);
    struct ipc_channel *channel = d->doors.mailbox(d->doors.owner);
    if (!channel) {
        wait_for_process(c);
        return;
    }
    c->process_missed_ms = 0;
    base->was_usable = true;
    for (int i = 0; has_room(c, channel); i++) {
        if (i == STORES_PER_TURN) {
            connection_wake(base);
            return;
        }
        if (!list_is_empty(&c->sending)) {
            send_next(c, channel);
            continue;
        }
        struct task *task = connection_next_task(base);
        if (!task)
            break;
        begin(c, task);
    }
    if (!is_empty(c))
        return; /* an answer wakes us */
    if (d->is_stopping)
        connection_end(base, NULL);
    else
        timer_set(d->doors.loop, &c->timer, d->idle_ms, on_idle_end, c);
}

static void stop(struct connection *base)
{
    if (is_empty(client_of(base)))
        connection_end(base, NULL);
}

static void abort_connection(struct connection *base)
{
    static const slice text = LIT("this server was stopped before the mailbox process answered");
    struct mailbox_client *c = client_of(base);
    struct id_map stores = base->deliverer->stores;
    base->deliverer->stores = (struct id_map){ 0 };
    size_t position = 0;
    struct store_request *request;
    while ((request = id_map_next(&stores, &position))) {
        if (request->store->client == c)
            memory_free(request);
        else
            id_map_set(&base->deliverer->stores, request->id, request);
    }
    id_map_free(&stores);
    struct list *lists[] = { &c->loading, &c->sending, &c->waiting }, *node;
    for (size_t i = 0; i < COUNT(lists); i++)
        while ((node = list_first(lists[i])))
            fail_task(LIST_ITEM(node, struct store_task, place), verdict_delayed(STAGE_MAILBOX, 3, 2, text));
    connection_end(base, NULL);
}

static void mailbox_free(struct connection *base)
{
    struct mailbox_client *c = client_of(base);
    timer_clear(base->deliverer->doors.loop, &c->timer);
    arena_free(&base->memory);
    memory_free(c);
}

static const struct connection_kind mailbox_kind = {
    .run = run, .stop = stop, .abort = abort_connection, .free = mailbox_free
};

struct connection *mailbox_connection_new(struct deliverer *d, const struct destination *to, void *handle)
{
    struct mailbox_client *c = MEMORY_NEW(struct mailbox_client);
    list_init(&c->loading);
    list_init(&c->sending);
    list_init(&c->waiting);
    connection_init(&c->base, &mailbox_kind, d, to, handle);
    return &c->base;
}
