#include "base/memory.h"
#include "deliver/connection.h"
#include <ifaddrs.h>
/*
 * deliverer - the table of connections, the door to the schedule, and what all connections know together: our
 * addresses, hosts whose TLS fails, TLS contexts.
 */
enum { HOST_NOTES_MAX = 10000, WAKES_PER_TURN = 1000 };
static const uint64_t TLS_FAILURE_KEPT_MS = HOURS(1);

struct host_note {
    uint64_t plain_until_ms; /* monotonic */
    slice name;
    char octets[];
};
struct tls_entry {
    struct tls_context *context;
    slice ca_pem;
    char octets[];
};

/* --- connections --- */

void connection_init(struct connection *c, const struct connection_kind *kind, struct deliverer *d,
                     const struct destination *to, void *handle)
{
    c->kind = kind;
    c->deliverer = d;
    c->handle = handle;
    list_init(&c->woken);
    list_append(&d->connections, &c->in_table);
    struct destination *own = &c->destination;
    *own = *to;
    own->key = arena_copy(&c->memory, to->key);
    own->name = arena_copy(&c->memory, to->name);
    own->host = arena_copy(&c->memory, to->host);
    own->username = arena_copy(&c->memory, to->username);
    own->password = arena_copy(&c->memory, to->password);
    own->mailbox = arena_copy(&c->memory, to->mailbox);
    own->ca_pem = (slice){ 0 };
    connection_wake(c);
}

static void turn_end(void *context);

void connection_wake(struct connection *c)
{
    struct deliverer *d = c->deliverer;
    if (c->has_ended || list_is_linked(&c->woken))
        return;
    if (list_is_empty(&d->woken))
        timer_set(d->doors.loop, &d->soon, 0, turn_end, d);
    list_append(&d->woken, &c->woken);
}

struct task *connection_next_task(struct connection *c)
{
    struct deliverer *d = c->deliverer;
    if (c->has_ended || c->is_reported || d->is_stopping)
        return NULL;
    struct task *task = d->schedule.next_task(d->schedule.schedule, c->handle);
    if (task) {
        task->started_ms = loop_now_ms(d->doors.loop);
        c->tasks_taken++;
        c->tasks_open++;
    }
    return task;
}

void connection_task_done(struct connection *c, struct task *task)
{
    const struct delivery_schedule_door *schedule = &c->deliverer->schedule;
    assert(c->tasks_open > 0 && !c->is_reported);
    c->tasks_open--;
    schedule->task_done(schedule->schedule, c->handle, task);
}

void connection_report_closed(struct connection *c, const struct outcome *failure)
{
    if (c->is_reported)
        return;
    assert(c->tasks_open == 0);
    c->is_reported = true;
    struct connection_end end = { .was_usable = c->was_usable };
    if (failure)
        end.failure = *failure;
    const struct delivery_schedule_door *schedule = &c->deliverer->schedule;
    schedule->closed(schedule->schedule, c->handle, c, &end);
}

void connection_end(struct connection *c, const struct outcome *failure)
{
    if (c->has_ended)
        return;
    c->has_ended = true;
    connection_report_closed(c, failure);
    struct deliverer *d = c->deliverer;
    list_remove(&c->woken);
    list_remove(&c->in_table);
    list_append(&d->ended, &c->in_table);
}

static void free_ended(struct deliverer *d)
{
    struct list *node;
    while ((node = list_take_first(&d->ended))) {
        struct connection *c = LIST_ITEM(node, struct connection, in_table);
        memory_wipe((void *)(uintptr_t)c->destination.password.ptr, c->destination.password.len);
        c->kind->free(c);
    }
}

/* What is woken while this runs waits for the next turn when there is much of it: the loop must get its chance. */
static void turn_end(void *context)
{
    struct deliverer *d = context;
    timer_clear(d->doors.loop, &d->soon);
    struct list *node;
    for (int i = 0; i < WAKES_PER_TURN && (node = list_take_first(&d->woken)); i++) {
        struct connection *c = LIST_ITEM(node, struct connection, woken);
        c->kind->run(c);
    }
    free_ended(d);
    if (!list_is_empty(&d->woken))
        timer_set(d->doors.loop, &d->soon, 0, turn_end, d);
}

void task_set_recipient_outcome(struct task *task, size_t i, const struct outcome *outcome)
{
    outcome_copy(&task->memory, &task->recipients[i].outcome, outcome);
}

/* --- the door --- */

static struct connection *open_smtp(struct deliverer *d, const struct destination *to, void *handle)
{
    return smtp_connection_new(d, to, handle);
}

static struct connection *(*const openers[])(struct deliverer *, const struct destination *, void *) = {
    [DESTINATION_MX] = open_smtp,
    [DESTINATION_HOST] = open_smtp,
    [DESTINATION_LMTP] = open_smtp,
    [DESTINATION_MAILBOX] = mailbox_connection_new,
    [DESTINATION_DISCARD] = discard_connection_new,
};

static struct connection *door_open(void *deliver, const struct destination *to, void *handle)
{
    assert((size_t)to->kind < COUNT(openers));
    return openers[to->kind](deliver, to, handle);
}

static void door_wake(void *deliver, struct connection *c)
{
    (void)deliver;
    connection_wake(c);
}

struct delivery_deliver_door deliverer_door(struct deliverer *d)
{
    return (struct delivery_deliver_door){ .open = door_open, .wake = door_wake, .deliver = d };
}

struct deliverer *deliverer_new(const struct deliver_doors *doors)
{
    struct deliverer *d = MEMORY_NEW(struct deliverer);
    d->doors = *doors;
    d->connect_timeout_ms = SECONDS(30);
    d->idle_ms = SECONDS(5);
    list_init(&d->connections);
    list_init(&d->woken);
    list_init(&d->ended);
    d->turn_end = (struct loop_hook){ .function = turn_end, .context = d };
    loop_add_turn_end(doors->loop, &d->turn_end);
    return d;
}

void deliverer_set_schedule(struct deliverer *d, struct delivery_schedule_door door) { d->schedule = door; }

static void forget_tls_contexts(struct deliverer *d)
{
    size_t position = 0;
    struct tls_entry *entry;
    while ((entry = map_next(&d->tls_contexts, &position))) {
        tls_context_release(entry->context);
        memory_free(entry);
    }
    map_free(&d->tls_contexts);
    d->tls_contexts = (struct map){ 0 };
}

static void forget_hosts(struct deliverer *d)
{
    size_t position = 0;
    struct host_note *note;
    while ((note = map_next(&d->hosts, &position)))
        memory_free(note);
    map_free(&d->hosts);
    d->hosts = (struct map){ 0 };
}

void deliverer_configure(struct deliverer *d, const struct deliver_params *params)
{
    text_clear(&d->hostname);
    text_add(&d->hostname, params->hostname);
    d->has_source_v4 = address_parse(params->source_v4, &d->source_v4);
    d->has_source_v6 = address_parse(params->source_v6, &d->source_v6);
    d->connect_timeout_ms = params->connect_timeout_ms;
    d->idle_ms = params->idle_ms;
    d->reply_timeout_ms = params->reply_timeout_ms;
    /* authorities may have changed; connections that are open keep their own */
    forget_tls_contexts(d);
}

void deliverer_stop(struct deliverer *d)
{
    d->is_stopping = true;
    LIST_EACH(&d->connections, node) {
        struct connection *c = LIST_ITEM(node, struct connection, in_table);
        c->kind->stop(c);
    }
}

void deliverer_free(struct deliverer *d)
{
    d->is_stopping = true;
    loop_remove_hook(d->doors.loop, &d->turn_end);
    struct list *node;
    while ((node = list_first(&d->connections))) {
        struct connection *c = LIST_ITEM(node, struct connection, in_table);
        c->kind->abort(c);
    }
    free_ended(d);
    timer_clear(d->doors.loop, &d->soon);
    forget_tls_contexts(d);
    if (d->tls_unverified)
        tls_context_release(d->tls_unverified);
    forget_hosts(d);
    id_map_free(&d->stores);
    text_free(&d->hostname);
    text_free(&d->scratch);
    memory_free(d->own);
    memory_free(d);
}

void deliverer_stored(struct deliverer *d, const struct ipc_stored *answer) { mailbox_client_answered(d, answer); }

void deliverer_mailbox_lost(struct deliverer *d) { mailbox_client_lost(d); }

/* --- what all connections know --- */

struct tls_context *deliverer_tls_context(struct deliverer *d, bool verify, slice ca_pem, struct text *error)
{
    if (!verify) {
        if (!d->tls_unverified)
            d->tls_unverified = tls_client_new(&(struct tls_client_params){ .verify = false }, error);
        return d->tls_unverified;
    }
    struct tls_entry *entry = map_get(&d->tls_contexts, ca_pem);
    if (entry)
        return entry->context;
    struct tls_context *context =
        tls_client_new(&(struct tls_client_params){ .verify = true, .ca_pem = ca_pem }, error);
    if (!context)
        return NULL;
    entry = memory_new(sizeof(*entry) + ca_pem.len);
    entry->context = context;
    if (ca_pem.len)
        memcpy(entry->octets, ca_pem.ptr, ca_pem.len);
    entry->ca_pem = slice_from(entry->octets, ca_pem.len);
    map_set(&d->tls_contexts, entry->ca_pem, entry);
    return context;
}

void deliverer_note_tls_failure(struct deliverer *d, slice host)
{
    struct host_note *note = map_get(&d->hosts, host);
    if (!note) {
        if (d->hosts.count >= HOST_NOTES_MAX) /* a help, not a promise: forgetting costs a second try */
            forget_hosts(d);
        note = memory_new(sizeof(*note) + host.len);
        memcpy(note->octets, host.ptr, host.len);
        note->name = slice_from(note->octets, host.len);
        map_set(&d->hosts, note->name, note);
    }
    note->plain_until_ms = loop_now_ms(d->doors.loop) + TLS_FAILURE_KEPT_MS;
}

bool deliverer_has_tls_failure(const struct deliverer *d, slice host)
{
    const struct host_note *note = map_get(&d->hosts, host);
    return note && note->plain_until_ms > loop_now_ms(d->doors.loop);
}

static bool address_is_wildcard(const struct address *a)
{
    if (address_is_v6(a))
        return IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
    return a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

static void add_own(struct deliverer *d, const struct address *a)
{
    d->own = memory_resize(d->own, (d->own_count + 1) * sizeof(*d->own));
    d->own[d->own_count++] = *a;
}

/* Listening on a wildcard means every address of the machine, of both families for [::]. */
static void add_interfaces(struct deliverer *d, const struct address *wildcard)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != wildcard->any.sa_family)
            continue;
        struct address a;
        address_from_sockaddr(&a, i->ifa_addr);
        address_set_port(&a, address_port(wildcard));
        add_own(d, &a);
    }
    freeifaddrs(all);
}

void deliverer_set_own_addresses(struct deliverer *d, const struct address *addresses, size_t count)
{
    memory_free(d->own);
    d->own = NULL;
    d->own_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (address_is_wildcard(&addresses[i]))
            add_interfaces(d, &addresses[i]);
        else
            add_own(d, &addresses[i]);
    }
}

/* With the port: another server may listen beside us on the same address. */
bool deliverer_is_own_address(const struct deliverer *d, const struct address *a)
{
    for (size_t i = 0; i < d->own_count; i++)
        if (address_eq(&d->own[i], a) && address_port(&d->own[i]) == address_port(a))
            return true;
    return false;
}

bool deliverer_is_own_name(const struct deliverer *d, slice host)
{
    return d->hostname.len > 0 && slice_eq_nocase(text_slice(&d->hostname), host);
}
