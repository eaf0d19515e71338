#include "programs/keyring/keyring.h"
#include "base/list.h"
#include "base/memory.h"
#include "programs/confine.h"
#include "programs/keyring/service.h"
#include "programs/keyring/verifier.h"
#include "programs/process.h"
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOPS_MAX = 256, UNSENT_MAX = 16 << 20 };

struct keyring;

/* One channel to a loop of mta. */
struct peer {
    struct keyring *keyring;
    uint64_t loop;
    struct ipc_channel *channel; /* NULL: gone while questions are open */
    size_t open_questions;
};

struct keyring {
    struct loop *loop;
    struct ipc_channel *supervisor;
    struct config *config;
    struct event_log *events;
    struct accounts *accounts;
    struct roster roster;
    struct verifier *verifier;
    struct service *service;
    int listener_fd; /* until the service takes it */
    struct peer *peers[LOOPS_MAX];
    struct text names;
    struct loop_hook turn_end;
    bool is_begun, is_stopping;
};

/* --- mta --- */

static void send_names(struct keyring *k, struct ipc_channel *channel)
{
    ipc_send_accounts(channel, &(struct ipc_accounts){ .names = text_slice(&k->names) });
}

static void tell_names(void *context)
{
    struct keyring *k = context;
    text_clear(&k->names);
    roster_add_names(&k->roster, &k->names);
    for (size_t i = 0; i < LOOPS_MAX; i++)
        if (k->peers[i])
            send_names(k, k->peers[i]->channel);
}

static void free_peer_when_done(struct peer *peer)
{
    if (!peer->channel && !peer->open_questions)
        memory_free(peer);
}

static void on_peer_end(void *context)
{
    struct peer *peer = context;
    ipc_channel_free(peer->channel);
    peer->channel = NULL;
    if (peer->keyring->peers[peer->loop] == peer)
        peer->keyring->peers[peer->loop] = NULL;
    free_peer_when_done(peer);
}

struct verification {
    struct peer *peer;
    uint64_t request;
};

static void end_when_done(struct keyring *k)
{
    if (k->is_stopping && (!k->verifier || verifier_is_idle(k->verifier)))
        loop_stop(k->loop);
}

static void on_answer(void *context, bool ok, bool temporary, slice account)
{
    struct verification *v = context;
    struct peer *peer = v->peer;
    struct keyring *k = peer->keyring;
    if (peer->channel)
        ipc_send_password_verified(peer->channel,
                                   &(struct ipc_password_verified){
                                       .request = v->request, .ok = ok, .temporary = temporary, .account = account });
    peer->open_questions--;
    free_peer_when_done(peer);
    memory_free(v);
    end_when_done(k);
}

static void on_verify_password(void *context, const struct ipc_verify_password *message)
{
    struct peer *peer = context;
    struct verification *v = MEMORY_NEW(struct verification);
    *v = (struct verification){ .peer = peer, .request = message->request };
    peer->open_questions++;
    /* Who does not read answers gets no work done. */
    if (!peer->keyring->is_begun || ipc_pending(peer->channel) > UNSENT_MAX)
        on_answer(v, false, true, (slice){ 0 });
    else
        verifier_ask(peer->keyring->verifier, message->name, message->password, on_answer, v);
}

static const struct ipc_handlers peer_handlers = { .verify_password = on_verify_password, .end = on_peer_end };

/* --- supervisor --- */

static void on_peer(void *context, const struct ipc_peer *message)
{
    struct keyring *k = context;
    if (message->loop >= LOOPS_MAX) {
        close(message->channel);
        return;
    }
    if (k->peers[message->loop])
        on_peer_end(k->peers[message->loop]);
    struct peer *peer = MEMORY_NEW(struct peer);
    *peer = (struct peer){ .keyring = k, .loop = message->loop };
    peer->channel = ipc_channel_new(k->loop, message->channel, &peer_handlers, peer);
    k->peers[message->loop] = peer;
    if (k->is_begun)
        send_names(k, peer->channel);
}

static void on_listen(void *context, const struct ipc_listen *message)
{
    struct keyring *k = context;
    if (k->listener_fd >= 0)
        close(k->listener_fd);
    k->listener_fd = message->socket;
}

/* The new configuration's accounts, or a text. */
static bool load(struct keyring *k, struct text *error)
{
    if (!roster_load(&k->roster, k->config, k->accounts, error))
        return false;
    tell_names(k);
    return true;
}

static void take_config(struct keyring *k, struct config *config)
{
    if (k->config)
        config_release(k->config);
    k->config = config;
}

static void on_configure(void *context, const struct ipc_configure *message)
{
    struct keyring *k = context;
    struct text error = { 0 };
    struct config *config = process_read_config(message, &error);
    if (!config && !k->config)
        process_fail(k->supervisor, text_slice(&error));
    bool ok = config != NULL;
    if (ok) {
        take_config(k, config);
        if (k->is_begun) {
            process_configure_log(k->events, config);
            ok = load(k, &error);
        }
    }
    if (!ok)
        ipc_send_failed(k->supervisor, &(struct ipc_failed){ .text = text_slice(&error) });
    text_free(&error);
}

/* There are few of them here: written at once. */
static void write_events(void *context)
{
    struct keyring *k = context;
    event_flush(k->events);
}

static void start_service(struct keyring *k)
{
    const struct service_doors doors = {
        .loop = k->loop,
        .events = k->events,
        .accounts = k->accounts,
        .roster = &k->roster,
        .changed = tell_names,
        .context = k,
    };
    if (k->listener_fd >= 0)
        k->service = service_new(&doors, k->listener_fd);
    k->listener_fd = -1;
}

static void on_begin(void *context, const struct ipc_begin *message)
{
    (void)message;
    struct keyring *k = context;
    struct text error = { 0 };
    if (!k->config)
        process_fail(k->supervisor, SLICE("keyring: no configuration came before the start"));
    k->events = process_open_log("keyring", "keyring", k->config, k->loop, &error);
    k->accounts = k->events ? accounts_open(FOLDER_ACCOUNTS, &error) : NULL;
    if (!k->accounts)
        process_fail(k->supervisor, text_slice(&error));
    k->verifier = verifier_new(k->loop, &k->roster);
    k->is_begun = true;
    if (!load(k, &error))
        process_fail(k->supervisor, text_slice(&error));
    start_service(k);
    k->turn_end = (struct loop_hook){ .function = write_events, .context = k };
    loop_add_turn_end(k->loop, &k->turn_end);
    ipc_send_ready(k->supervisor, &(struct ipc_ready){ .pid = (uint64_t)getpid() });
    text_free(&error);
}

static void on_stop(void *context, const struct ipc_stop *message)
{
    (void)message;
    struct keyring *k = context;
    k->is_stopping = true;
    end_when_done(k);
}

static void on_supervisor_end(void *context) { on_stop(context, NULL); }

static const struct ipc_handlers supervisor_handlers = {
    .configure = on_configure,
    .peer = on_peer,
    .listen = on_listen,
    .begin = on_begin,
    .stop = on_stop,
    .end = on_supervisor_end,
};

static void close_keyring(struct keyring *k)
{
    service_free(k->service);
    for (size_t i = 0; i < LOOPS_MAX; i++)
        if (k->peers[i])
            on_peer_end(k->peers[i]);
    loop_remove_hook(k->loop, &k->turn_end);
    ipc_channel_free(k->supervisor);
    loop_free(k->loop);
    verifier_free(k->verifier);
    roster_free(&k->roster);
    accounts_close(k->accounts);
    event_log_close(k->events);
    config_release(k->config);
    text_free(&k->names);
}

int keyring_main(int supervisor_fd)
{
    static const char *const read_write[] = { FOLDER_ACCOUNTS, FOLDER_LOG "/keyring", NULL };
    static const char *const read_only[] = { "/dev/urandom", "/dev/random", "/etc/localtime", "/proc/self", NULL };
    struct confine_rules rules = { read_write, read_only, CONFINE_NO_INTERNET };
    struct text error = { 0 };
    bool ok = confine_self(&rules, &error);
    struct keyring k = { .listener_fd = -1 };
    k.loop = loop_new("keyring");
    k.supervisor = ipc_channel_new(k.loop, supervisor_fd, &supervisor_handlers, &k);
    if (ok && sodium_init() < 0) {
        ok = false;
        text_add_cstr(&error, "keyring: libsodium cannot be started");
    }
    if (!ok)
        process_fail(k.supervisor, text_slice(&error));
    text_free(&error);
    roster_init(&k.roster);
    loop_run(k.loop);
    if (k.is_begun)
        close_keyring(&k);
    return EXIT_SUCCESS;
}
