#include "receive/receiver.h"
#include "base/memory.h"
#include "base/random.h"
#include "receive/session.h"

static const struct role roles[] = {
    /*                     TLS at once  STARTTLS  offers AUTH  demands it  mends */
    [ROLE_MX] =          { false,       true,     false,       false,      false },
    [ROLE_SUBMISSION] =  { false,       true,     true,        true,       true },
    [ROLE_SUBMISSIONS] = { true,        false,    true,        true,       true },
    [ROLE_ALTERNATIVE] = { false,       true,     true,        true,       true }, /* 587 by another number */
};
static const struct role local_role = { .demands_sign_in = true, .mends_messages = true };

struct settings *settings_hold(struct settings *settings)
{
    settings->references++;
    return settings;
}

void settings_release(struct settings *settings)
{
    if (!settings || --settings->references > 0)
        return;
    config_release(settings->config);
    if (settings->tls)
        tls_context_release(settings->tls);
    directory_release(settings->directory);
    memory_free(settings->relay_from);
    memory_free(settings);
}

static bool is_internet(const struct address *a) { return a->any.sa_family == AF_INET || a->any.sa_family == AF_INET6; }

bool settings_may_relay(const struct settings *settings, const struct address *client)
{
    if (!is_internet(client))
        return false;
    for (size_t i = 0; i < settings->relay_from_count; i++)
        if (network_has(&settings->relay_from[i], client))
            return true;
    return false;
}

struct receiver *receiver_new(const struct receive_doors *doors)
{
    struct receiver *r = MEMORY_NEW(struct receiver);
    r->doors = *doors;
    r->next_session_id = random_u64();
    list_init(&r->listeners);
    list_init(&r->sessions);
    list_init(&r->spare_transactions);
    return r;
}

void receiver_configure(struct receiver *r, struct config *config, struct tls_context *tls, struct directory *directory)
{
    struct settings *settings = MEMORY_NEW(struct settings);
    settings->references = 1;
    settings->config = config_hold(config);
    settings->tls = tls ? tls_context_hold(tls) : NULL;
    settings->directory = directory_hold(directory);
    size_t count = config->relay_from.count;
    settings->relay_from = memory_new(size_max(count, 1) * sizeof(*settings->relay_from));
    for (size_t i = 0; i < count; i++) /* checked by config/: one that does not parse cannot be here, and would relay nothing */
        settings->relay_from_count +=
            network_parse(config->relay_from.items[i], &settings->relay_from[settings->relay_from_count]);
    settings_release(r->settings);
    r->settings = settings;
}

/* --- clients -------------------------------------------------------------------------------------------------- */

static slice client_key(unsigned char key[static 17], const struct address *client)
{
    memset(key, 0, 17);
    if (address_is_v6(client)) {
        key[0] = 6;
        memcpy(key + 1, &client->v6.sin6_addr, 8);
    } else {
        key[0] = 4;
        memcpy(key + 1, &client->v4.sin_addr, 4);
    }
    return slice_from((const char *)key, 17);
}

static struct client *find_client(struct receiver *r, const struct address *address)
{
    unsigned char key[17];
    struct client *client = map_get(&r->clients, client_key(key, address));
    if (client)
        return client;
    client = MEMORY_NEW(struct client);
    map_set(&r->clients, client_key(client->key, address), client);
    return client;
}

/* Loops share nothing; the kernel spreads connections over them evenly, and so are the limits. */
static uint64_t share_of(const struct receiver *r, uint64_t limit)
{
    uint64_t loops = r->doors.loop_count ? r->doors.loop_count : 1;
    return (limit + loops - 1) / loops;
}

bool receiver_admit(struct receiver *r, const struct address *address, struct client **client, enum reply_name *refusal)
{
    const struct config_limits *limits = &r->settings->config->limits;
    *client = NULL;
    *refusal = REPLY_TOO_MANY_SESSIONS;
    if (r->session_count >= share_of(r, limits->max_sessions))
        return false;
    if (!is_internet(address) || address_is_loopback(address) || settings_may_relay(r->settings, address))
        return true;
    *client = find_client(r, address);
    if (++(*client)->sessions <= share_of(r, limits->max_sessions_per_client))
        return true;
    receiver_forget(r, *client);
    *refusal = REPLY_TOO_MANY_OF_CLIENT;
    return false;
}

void receiver_forget(struct receiver *r, struct client *client)
{
    if (!client || --client->sessions > 0)
        return;
    map_remove(&r->clients, slice_from((const char *)client->key, sizeof(client->key)));
    memory_free(client);
}

/* --- listeners and the end ------------------------------------------------------------------------------------- */

static void on_accepted(void *context, struct stream *stream) { session_accept(context, stream, (slice){ 0 }); }

static struct receive_listener *add_listener(struct receiver *r, slice name, const struct role *role)
{
    struct receive_listener *listener = MEMORY_NEW(struct receive_listener);
    listener->receiver = r;
    listener->role = role;
    text_add(&listener->name, name);
    list_append(&r->listeners, &listener->listed);
    return listener;
}

void receiver_listen(struct receiver *r, int fd, slice name, enum listener_role role)
{
    struct receive_listener *listener = add_listener(r, name, &roles[role]);
    listener->listener = listener_new(r->doors.loop, fd, on_accepted, listener);
}

void receiver_adopt(struct receiver *r, struct stream *stream, slice account)
{
    if (!r->local)
        r->local = add_listener(r, SLICE("local"), &local_role);
    session_accept(r->local, stream, account);
}

static void close_listeners(struct receiver *r)
{
    LIST_EACH (&r->listeners, node) {
        struct receive_listener *listener = LIST_ITEM(node, struct receive_listener, listed);
        if (listener->listener)
            listener_free(listener->listener);
        listener->listener = NULL;
    }
}

static void tell_stopped(struct receiver *r)
{
    loop_function *stopped = r->stopped;
    r->stopped = NULL;
    timer_clear(r->doors.loop, &r->patience);
    if (stopped)
        stopped(r->stopped_context);
}

static void stop_sessions(struct receiver *r, bool now)
{
    LIST_EACH (&r->sessions, node) {
        struct session *s = LIST_ITEM(node, struct session, listed);
        if (s->stream)
            session_stop(s, now);
        if (!s->stream && s->wait != WAIT_COMMIT)
            session_free(s);
    }
}

static void on_patience_ended(void *context)
{
    struct receiver *r = context;
    stop_sessions(r, true);
    tell_stopped(r);
}

void receiver_stop(struct receiver *r, uint64_t patience_ms, loop_function *done, void *context)
{
    r->is_stopping = true;
    r->stopped = done;
    r->stopped_context = context;
    close_listeners(r);
    stop_sessions(r, false);
    /* With nobody left there is nothing to be patient about; `done` still comes from the loop, not from here. */
    timer_set(r->doors.loop, &r->patience, list_is_empty(&r->sessions) ? 0 : patience_ms, on_patience_ended, r);
}

void receiver_session_gone(struct receiver *r)
{
    if (r->is_stopping && list_is_empty(&r->sessions))
        tell_stopped(r);
}

size_t receiver_session_count(const struct receiver *r) { return r->session_count; }

void receiver_free(struct receiver *r)
{
    if (!r)
        return;
    timer_clear(r->doors.loop, &r->patience);
    close_listeners(r);
    LIST_EACH (&r->sessions, node) {
        struct session *s = LIST_ITEM(node, struct session, listed);
        session_end(s, "the server is stopping");
        session_free(s);
    }
    for (struct list *node; (node = list_take_first(&r->listeners));) {
        struct receive_listener *listener = LIST_ITEM(node, struct receive_listener, listed);
        text_free(&listener->name);
        memory_free(listener);
    }
    transaction_free_spare(r);
    settings_release(r->settings);
    map_free(&r->clients);
    text_free(&r->scratch);
    memory_free(r);
}
