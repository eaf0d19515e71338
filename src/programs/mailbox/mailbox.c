#include "programs/mailbox/mailbox.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "io/work.h"
#include "programs/confine.h"
#include "programs/mailbox/maildir.h"
#include "programs/process.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/*
 * The mailbox process. What a turn of the loop brought in is stored as one batch on the disk lane, so that messages for
 * the same mailbox share its sync; while it works the next batch gathers.
 */
enum { BATCH_MAX = 256, LOOPS_MAX = 256 };
#define LEFTOVERS_EVERY_MS HOURS(1)

struct mailbox;

/* One channel to a loop of mta. */
struct peer {
    struct mailbox *mailbox;
    uint64_t loop;
    struct ipc_channel *channel; /* NULL: gone while stores are under way */
    size_t under_way;
};

struct store {
    struct list node;
    struct peer *peer;
    uint64_t request;
    struct maildir_message message;
    struct arena memory;
};

struct batch {
    struct mailbox *mailbox;
    struct maildir_message *messages[BATCH_MAX];
    struct store *stores[BATCH_MAX];
    size_t count;
};

struct mailbox {
    struct loop *loop;
    struct ipc_channel *supervisor;
    struct config *config;
    struct event_log *events;
    struct peer *peers[LOOPS_MAX];
    struct list waiting; /* stores */
    struct loop_hook turn_end;
    struct timer leftovers;
    int root;
    char host[256];
    size_t batches_under_way;
    bool is_stopping;
};

static void fail_start(struct mailbox *mailbox, const char *what)
{
    struct text text = { 0 };
    text_add_format(&text, "mailbox: cannot open %s: %s", what, strerror(errno));
    process_fail(mailbox->supervisor, text_slice(&text));
}

static void end_when_done(struct mailbox *mailbox)
{
    if (mailbox->is_stopping && !mailbox->batches_under_way && list_is_empty(&mailbox->waiting))
        loop_stop(mailbox->loop);
}

static void free_peer_when_done(struct peer *peer)
{
    if (!peer->channel && !peer->under_way)
        memory_free(peer);
}

static void answer(struct store *store)
{
    struct peer *peer = store->peer;
    const struct maildir_message *message = &store->message;
    if (peer->channel)
        ipc_send_stored(peer->channel, &(struct ipc_stored){ .request = store->request,
                                                             .ok = message->result == MAILDIR_OK,
                                                             .temporary = message->result == MAILDIR_TEMPORARY,
                                                             .text = text_slice(&message->text) });
    peer->under_way--;
    free_peer_when_done(peer);
}

static void free_store(struct store *store)
{
    if (store->message.file >= 0)
        close(store->message.file);
    text_free(&store->message.text);
    arena_free(&store->memory);
    memory_free(store);
}

static void run_batch(void *context)
{
    struct batch *batch = context;
    struct maildir_batch params = { .root = batch->mailbox->root, .host = batch->mailbox->host };
    maildir_store(&params, batch->messages, batch->count);
}

static void batch_done(void *context)
{
    struct batch *batch = context;
    for (size_t i = 0; i < batch->count; i++) {
        answer(batch->stores[i]);
        free_store(batch->stores[i]);
    }
    batch->mailbox->batches_under_way--;
    end_when_done(batch->mailbox);
    memory_free(batch);
}

/* Several batches may be under way: the disk lane has several threads, and one slow sync does not hold up the rest. */
static void on_turn_end(void *context)
{
    struct mailbox *mailbox = context;
    while (!list_is_empty(&mailbox->waiting) && mailbox->batches_under_way < 4) {
        struct batch *batch = MEMORY_NEW(struct batch);
        batch->mailbox = mailbox;
        for (struct list *node; batch->count < BATCH_MAX && (node = list_take_first(&mailbox->waiting));) {
            struct store *store = LIST_ITEM(node, struct store, node);
            batch->stores[batch->count] = store;
            batch->messages[batch->count++] = &store->message;
        }
        mailbox->batches_under_way++;
        work_run(mailbox->loop, WORK_DISK, run_batch, batch_done, batch);
    }
    if (mailbox->events)
        event_flush(mailbox->events);
}

static void on_store(void *context, const struct ipc_store *message)
{
    struct peer *peer = context;
    struct store *store = MEMORY_NEW(struct store);
    *store = (struct store){ .peer = peer, .request = message->request };
    store->message = (struct maildir_message){
        .name = arena_copy(&store->memory, message->name),
        .domain = arena_copy(&store->memory, message->domain),
        .local_part = arena_copy(&store->memory, message->local_part),
        .head = arena_copy(&store->memory, message->head),
        .content = arena_copy(&store->memory, message->content),
        .file = message->file,
        .file_octets = message->octets,
    };
    list_init(&store->node);
    peer->under_way++;
    list_append(&peer->mailbox->waiting, &store->node);
}

static void on_peer_end(void *context)
{
    struct peer *peer = context;
    ipc_channel_free(peer->channel);
    peer->channel = NULL;
    if (peer->mailbox->peers[peer->loop] == peer)
        peer->mailbox->peers[peer->loop] = NULL;
    free_peer_when_done(peer);
}

static const struct ipc_handlers peer_handlers = { .store = on_store, .end = on_peer_end };

static void on_peer(void *context, const struct ipc_peer *message)
{
    struct mailbox *mailbox = context;
    if (message->loop >= LOOPS_MAX) {
        close(message->channel);
        return;
    }
    if (mailbox->peers[message->loop])
        on_peer_end(mailbox->peers[message->loop]);
    struct peer *peer = MEMORY_NEW(struct peer);
    *peer = (struct peer){ .mailbox = mailbox, .loop = message->loop };
    peer->channel = ipc_channel_new(mailbox->loop, message->channel, &peer_handlers, peer);
    mailbox->peers[message->loop] = peer;
}

static void on_configure(void *context, const struct ipc_configure *message)
{
    struct mailbox *mailbox = context;
    struct text error = { 0 };
    struct config *config = process_read_config(message, &error);
    if (!config && !mailbox->config)
        process_fail(mailbox->supervisor, text_slice(&error));
    if (config) {
        if (mailbox->config)
            config_release(mailbox->config);
        mailbox->config = config;
        if (mailbox->events)
            process_configure_log(mailbox->events, config);
    } else {
        ipc_send_failed(mailbox->supervisor, &(struct ipc_failed){ .text = text_slice(&error) });
    }
    text_free(&error);
}

static void clean_run(void *context)
{
    struct mailbox *mailbox = context;
    maildir_remove_leftovers(mailbox->root, clock_wall_ms());
}

static void clean_later(void *context);

static void clean_now(void *context)
{
    struct mailbox *mailbox = context;
    work_run(mailbox->loop, WORK_DISK, clean_run, clean_later, mailbox);
}

static void clean_later(void *context)
{
    struct mailbox *mailbox = context;
    timer_set(mailbox->loop, &mailbox->leftovers, LEFTOVERS_EVERY_MS, clean_now, mailbox);
}

static void on_begin(void *context, const struct ipc_begin *message)
{
    (void)message;
    struct mailbox *mailbox = context;
    struct text error = { 0 };
    mailbox->events = process_open_log("mailbox", "mailbox", mailbox->config, mailbox->loop, &error);
    if (!mailbox->events)
        process_fail(mailbox->supervisor, text_slice(&error));
    mailbox->root = open(FOLDER_MAIL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mailbox->root < 0)
        fail_start(mailbox, FOLDER_MAIL);
    clean_now(mailbox);
    ipc_send_ready(mailbox->supervisor, &(struct ipc_ready){ .pid = (uint64_t)getpid() });
}

static void on_stop(void *context, const struct ipc_stop *message)
{
    (void)message;
    struct mailbox *mailbox = context;
    mailbox->is_stopping = true;
    end_when_done(mailbox);
}

static void on_supervisor_end(void *context) { on_stop(context, NULL); }

static const struct ipc_handlers supervisor_handlers = {
    .configure = on_configure, .peer = on_peer, .begin = on_begin, .stop = on_stop, .end = on_supervisor_end
};

/* '/' and ':' have a meaning in Maildir names (their specification says how to write them). */
static void find_host(struct mailbox *mailbox)
{
    char host[64] = "localhost";
    gethostname(host, sizeof host - 1);
    size_t len = 0;
    for (const char *c = host; *c && len + 5 < sizeof mailbox->host; c++)
        if (*c == '/' || *c == ':')
            len += (size_t)snprintf(mailbox->host + len, 5, "\\%03o", (unsigned char)*c);
        else
            mailbox->host[len++] = *c;
}

static void close_mailbox(struct mailbox *mailbox)
{
    timer_clear(mailbox->loop, &mailbox->leftovers);
    for (size_t i = 0; i < LOOPS_MAX; i++)
        if (mailbox->peers[i])
            on_peer_end(mailbox->peers[i]);
    ipc_channel_free(mailbox->supervisor);
    event_log_close(mailbox->events);
    config_release(mailbox->config);
    close(mailbox->root);
    loop_free(mailbox->loop);
}

int mailbox_main(int supervisor_fd)
{
    static const char *const read_write[] = { FOLDER_MAIL, FOLDER_LOG "/mailbox", NULL };
    static const char *const read_only[] = { "/etc", "/proc/self", NULL };
    struct confine_rules rules = { read_write, read_only, CONFINE_NO_INTERNET };
    struct text error = { 0 };
    bool ok = confine_self(&rules, &error);
    struct mailbox mailbox = { .root = -1 };
    mailbox.loop = loop_new("mailbox");
    mailbox.supervisor = ipc_channel_new(mailbox.loop, supervisor_fd, &supervisor_handlers, &mailbox);
    if (!ok)
        process_fail(mailbox.supervisor, text_slice(&error));
    text_free(&error);
    list_init(&mailbox.waiting);
    find_host(&mailbox);
    mailbox.turn_end = (struct loop_hook){ .function = on_turn_end, .context = &mailbox };
    loop_add_turn_end(mailbox.loop, &mailbox.turn_end);
    loop_run(mailbox.loop);
    if (mailbox.events)
        close_mailbox(&mailbox);
    return EXIT_SUCCESS;
}
