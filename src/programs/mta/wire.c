#include "programs/mta/wire.h"
#include "base/clock.h"
#include "base/memory.h"
#include "programs/process.h"
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#define RECEIVE_PATIENCE_MS SECONDS(5)
#define DELIVER_PATIENCE_MS SECONDS(5)
#define EVENT_FLUSH_MS      200

struct snapshot snapshot_hold(const struct snapshot *snapshot)
{
    return (struct snapshot){ .config = config_hold(snapshot->config),
                              .directory = directory_hold(snapshot->directory),
                              .tls = tls_context_hold(snapshot->tls) };
}

void snapshot_release(struct snapshot *snapshot)
{
    if (!snapshot->config)
        return;
    config_release(snapshot->config);
    directory_release(snapshot->directory);
    tls_context_release(snapshot->tls);
    *snapshot = (struct snapshot){ 0 };
}

static void flush_events(void *context)
{
    struct stages *stages = context;
    event_flush(stages->events);
}

static void on_turn_end(void *context)
{
    struct stages *stages = context;
    if (event_pending(stages->events) && !timer_is_set(&stages->flush_timer))
        timer_set(stages->loop, &stages->flush_timer, EVENT_FLUSH_MS, flush_events, stages);
}

static struct ipc_channel *mailbox_of_the_moment(void *context)
{
    struct stages *stages = context;
    return stages->mailbox;
}

static void on_stored(void *context, const struct ipc_stored *stored)
{
    struct stages *stages = context;
    deliverer_stored(stages->deliverer, stored);
}

static void on_mailbox_end(void *context)
{
    struct stages *stages = context;
    ipc_channel_free(stages->mailbox);
    stages->mailbox = NULL;
    deliverer_mailbox_lost(stages->deliverer);
}

static const struct ipc_handlers mailbox_handlers = { .stored = on_stored, .end = on_mailbox_end };

void stages_set_mailbox(struct stages *stages, int fd)
{
    if (stages->mailbox)
        on_mailbox_end(stages);
    stages->mailbox = ipc_channel_new(stages->loop, fd, &mailbox_handlers, stages);
}

static void add_interface_addresses(const struct address *listener, struct text *found)
{
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0)
        return;
    for (struct ifaddrs *i = interfaces; i; i = i->ifa_next) {
        struct address address;
        if (!i->ifa_addr || i->ifa_addr->sa_family != listener->any.sa_family)
            continue;
        address_from_sockaddr(&address, i->ifa_addr);
        address_set_port(&address, address_port(listener));
        text_add(found, slice_from((const char *)&address, sizeof address));
    }
    freeifaddrs(interfaces);
}

static bool is_wildcard(const struct address *address)
{
    static const struct in6_addr any = IN6ADDR_ANY_INIT;
    return address_is_v6(address) ? memcmp(&address->v6.sin6_addr, &any, sizeof any) == 0
                                  : address->v4.sin_addr.s_addr == 0;
}

/* An MX that is one of our own listeners would be a loop (RFC 5321 §5.1). */
static void set_own_addresses(struct stages *stages)
{
    const struct config *config = stages->snapshot.config;
    struct text found = { 0 };
    for (size_t i = 0; i < config->listener_count; i++)
        for (size_t j = 0; j < config->listeners[i].address.count; j++) {
            struct address address;
            if (!address_parse_with_port(config->listeners[i].address.items[j], &address))
                continue;
            if (is_wildcard(&address))
                add_interface_addresses(&address, &found);
            else
                text_add(&found, slice_from((const char *)&address, sizeof address));
        }
    deliverer_set_own_addresses(stages->deliverer, (const struct address *)(void *)found.ptr,
                                found.len / sizeof(struct address));
    text_free(&found);
}

static bool open_spool(struct stages *stages, struct text *error)
{
    const struct config_spool *options = &stages->snapshot.config->spool;
    char dir[32];
    snprintf(dir, sizeof dir, FOLDER_SPOOL "/%u", stages->number);
    struct spool_params params = {
        .dir = dir,
        .loop_number = stages->number,
        .segment_octets = options->segment_size,
        .large_octets = options->large_message,
        .memory_octets = options->memory,
        .reserve_octets = options->reserve,
        .sync_delay_ms = options->sync_delay,
    };
    stages->spool = spool_open(stages->loop, &params, error);
    return stages->spool != NULL;
}

static void schedule_accepted(void *schedule, struct spool_message *message) { schedule_add(schedule, message); }

static void wire(struct stages *stages, unsigned loop_count, struct dns *dns)
{
    stages->reports = reports_new(stages->loop, stages->spool, stages->events);
    stages->deliverer = deliverer_new(&(struct deliver_doors){ .loop = stages->loop,
                                                               .spool = stages->spool,
                                                               .dns = dns,
                                                               .events = stages->events,
                                                               .mailbox = mailbox_of_the_moment,
                                                               .owner = stages });
    stages->schedule = schedule_new(&(struct schedule_doors){ .loop = stages->loop,
                                                              .spool = stages->spool,
                                                              .events = stages->events,
                                                              .deliver = deliverer_door(stages->deliverer),
                                                              .report = reports_make,
                                                              .reports = stages->reports });
    deliverer_set_schedule(stages->deliverer, schedule_door(stages->schedule));
    reports_set_accepted(stages->reports, schedule_accepted, stages->schedule);
    stages->receiver = receiver_new(&(struct receive_doors){ .loop = stages->loop,
                                                             .loop_count = loop_count,
                                                             .spool = stages->spool,
                                                             .events = stages->events,
                                                             .verify_password = keyring_client_verify,
                                                             .cancel_verify = keyring_client_cancel,
                                                             .keyring = stages->keyring,
                                                             .accepted = schedule_accepted,
                                                             .schedule = stages->schedule });
}

bool stages_open(struct stages *stages, const struct stages_params *params, struct text *error)
{
    char name[32];
    snprintf(name, sizeof name, "mta-%u", params->number);
    *stages = (struct stages){ .number = params->number, .loop = params->loop, .keyring = params->keyring };
    stages->events = process_open_log("mta", name, params->snapshot->config, params->loop, error);
    if (!stages->events)
        return false;
    stages->turn_end = (struct loop_hook){ .function = on_turn_end, .context = stages };
    loop_add_turn_end(stages->loop, &stages->turn_end);
    stages->snapshot = snapshot_hold(params->snapshot);
    if (!open_spool(stages, error))
        return false;
    spool_watch_start(&stages->spool_watch, stages->loop, stages->spool, stages->events);
    wire(stages, params->loop_count, params->dns);
    stages_configure(stages, params->snapshot);
    set_own_addresses(stages);
    return true;
}

static void queue_recovered(void *context, struct spool_message *message)
{
    struct stages *stages = context;
    if (!message->schedule) /* else it came in meanwhile: another thread lets us begin, after the listeners */
        schedule_add(stages->schedule, message);
}

void stages_begin(struct stages *stages) { spool_each(stages->spool, queue_recovered, stages); }

void stages_configure(struct stages *stages, const struct snapshot *snapshot)
{
    struct snapshot old = stages->snapshot;
    stages->snapshot = snapshot_hold(snapshot);
    const struct config *config = snapshot->config;
    receiver_configure(stages->receiver, snapshot->config, snapshot->tls, snapshot->directory);
    deliverer_configure(stages->deliverer,
                        &(struct deliver_params){ .hostname = config->hostname,
                                                  .source_v4 = config->delivery.source_v4,
                                                  .source_v6 = config->delivery.source_v6,
                                                  .connect_timeout_ms = config->delivery.connect_timeout,
                                                  .idle_ms = config->delivery.idle_connection });
    reports_configure(stages->reports, config->hostname, snapshot->directory);
    schedule_configure(stages->schedule, snapshot->config, snapshot->directory);
    spool_set_reserve(stages->spool, config->spool.reserve);
    process_configure_log(stages->events, config);
    snapshot_release(&old);
}

static void one_stage_stopped(void *context)
{
    struct stages *stages = context;
    if (--stages->stopping == 0)
        stages->stopped(stages->stopped_context);
}

void stages_stop(struct stages *stages, bool at_once, loop_function *stopped, void *context)
{
    stages->stopped = stopped;
    stages->stopped_context = context;
    stages->stopping = 2;
    receiver_stop(stages->receiver, at_once ? 0 : RECEIVE_PATIENCE_MS, one_stage_stopped, stages);
    schedule_stop(stages->schedule, at_once ? 0 : DELIVER_PATIENCE_MS, one_stage_stopped, stages);
    deliverer_stop(stages->deliverer);
}

/* In this order: who holds content gives it back, the journal ends, then those that wait for its answers. */
void stages_close(struct stages *stages)
{
    timer_clear(stages->loop, &stages->flush_timer);
    spool_watch_stop(&stages->spool_watch);
    deliverer_free(stages->deliverer);
    schedule_free(stages->schedule);
    spool_close(stages->spool);
    receiver_free(stages->receiver);
    reports_free(stages->reports);
    if (stages->mailbox)
        ipc_channel_free(stages->mailbox);
    event_log_close(stages->events);
    snapshot_release(&stages->snapshot);
}
