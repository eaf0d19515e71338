#include "programs/mta/mta.h"
#include "base/memory.h"
#include "programs/confine.h"
#include "programs/mta/control.h"
#include "programs/mta/wire.h"
#include "programs/process.h"
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum fd_kind { FD_LISTENER, FD_KEYRING, FD_MAILBOX };

/* A descriptor of the supervisor on its way to its loop; `early` until the loops are there. */
struct placed_fd {
    struct list early;
    struct mta *mta;
    uint64_t loop;
    enum fd_kind kind;
    char *name; /* of a listener; else NULL */
    enum listener_role role;
    int fd;
};

struct mta_loop {
    struct mta *mta;
    unsigned number;
    pthread_t thread;
    struct loop *loop;
    struct keyring_client *keyring;
    struct stages stages;
};

struct mta {
    struct loop *loop; /* loop 0: the main thread's, with the supervisor's channel */
    struct ipc_channel *supervisor;
    struct keyring_client *keyring; /* loop 0's: tells the account names before anything else can start */
    struct snapshot snapshot;
    struct config *config;
    struct text account_names;
    bool has_account_names, is_begun, is_started, is_stopping;
    uint64_t loop_count;
    struct mta_loop *loops; /* from the start on */
    struct list early;
    struct dns *dns;
    struct control *control;
    int control_fd;
    size_t pending; /* loops that have not opened yet; at the end: not finished yet */
};

static void fail(struct mta *mta, struct text *error) { process_fail(mta->supervisor, text_slice(error)); }

/* ---- the snapshot: configuration + account names -> directory and TLS context ---- */

static void add_account_names(struct directory *directory, slice names)
{
    for (slice rest = names, name; rest.len;) {
        rest = slice_cut(rest, '\n', &name, NULL);
        if (name.len)
            directory_add_mailbox(directory, name);
    }
}

static struct directory *make_directory(const struct mta *mta, const struct config *config, struct text *error)
{
    struct directory *directory = directory_new();
    bool ok = true;
    for (size_t i = 0; i < config->domain_count; i++)
        directory_add_domain(directory, config->domains[i].name, config->domains[i].catch_all,
                             config->domains[i].address_extension);
    for (size_t i = 0; ok && i < config->domain_count; i++)
        ok = directory_add_alias_text(directory, config->domains[i].name, config->domains[i].alias_text, error);
    for (size_t i = 0; i < config->alias_count; i++)
        directory_add_alias(directory, config->aliases[i].address, config->aliases[i].targets.items,
                            config->aliases[i].targets.count);
    for (size_t i = 0; i < config->account_count; i++)
        directory_add_mailbox(directory, config->accounts[i].address);
    add_account_names(directory, text_slice(&mta->account_names));
    directory_finish(directory);
    if (!ok) {
        directory_release(directory);
        return NULL;
    }
    return directory;
}

static bool make_snapshot(struct mta *mta, struct config *config, struct snapshot *snapshot, struct text *error)
{
    struct tls_server_params params = { .certificate_pem = config->tls.certificate_pem,
                                        .key_pem = config->tls.key_pem };
    struct directory *directory = make_directory(mta, config, error);
    struct tls_context *tls = directory ? tls_server_new(&params, error) : NULL;
    if (!tls) {
        if (directory)
            directory_release(directory);
        return false;
    }
    *snapshot = (struct snapshot){ .config = config_hold(config), .directory = directory, .tls = tls };
    return true;
}

struct new_snapshot {
    struct mta_loop *to;
    struct snapshot snapshot;
};

static void take_snapshot(void *context)
{
    struct new_snapshot *new = context;
    stages_configure(&new->to->stages, &new->snapshot);
    snapshot_release(&new->snapshot);
    memory_free(new);
}

static void share_snapshot(struct mta *mta)
{
    for (uint64_t i = 0; i < mta->loop_count; i++) {
        struct new_snapshot *new = MEMORY_NEW(struct new_snapshot);
        *new = (struct new_snapshot){ .to = &mta->loops[i], .snapshot = snapshot_hold(&mta->snapshot) };
        loop_post(mta->loops[i].loop, take_snapshot, new);
    }
}

static void renew_snapshot(struct mta *mta)
{
    struct text error = { 0 };
    struct snapshot snapshot;
    if (make_snapshot(mta, mta->config, &snapshot, &error)) {
        snapshot_release(&mta->snapshot);
        mta->snapshot = snapshot;
        share_snapshot(mta);
    } else {
        ipc_send_failed(mta->supervisor, &(struct ipc_failed){ .text = text_slice(&error) });
    }
    text_free(&error);
}

/* ---- descriptors find their loops ---- */

static void place_fd(void *context)
{
    struct placed_fd *placed = context;
    struct mta_loop *to = &placed->mta->loops[placed->loop];
    slice name = slice_from_cstr(placed->name);
    switch (placed->kind) {
    case FD_LISTENER:
        receiver_listen(to->stages.receiver, placed->fd, name, placed->role);
        break;
    case FD_KEYRING:
        keyring_client_connect(to->keyring, placed->fd);
        break;
    case FD_MAILBOX:
        stages_set_mailbox(&to->stages, placed->fd);
        break;
    }
    memory_free(placed->name);
    memory_free(placed);
}

static void send_fd(struct mta *mta, struct placed_fd fd)
{
    if (mta->is_stopping || (mta->is_begun && fd.loop >= mta->loop_count)) {
        close(fd.fd);
        memory_free(fd.name);
        return;
    }
    fd.mta = mta;
    struct placed_fd *placed = memory_copy(&fd, sizeof fd);
    if (mta->is_started)
        loop_post(mta->loops[placed->loop].loop, place_fd, placed);
    else
        list_append(&mta->early, &placed->early);
}

static void on_listen(void *context, const struct ipc_listen *message)
{
    struct mta *mta = context;
    if (slice_eq(message->name, SLICE("unix:control")))
        mta->control_fd = message->socket;
    else
        send_fd(mta, (struct placed_fd){ .loop = message->loop,
                                         .kind = FD_LISTENER,
                                         .name = memory_copy_cstr(message->name.ptr, message->name.len),
                                         .role = (enum listener_role)message->role,
                                         .fd = message->socket });
}

static void on_peer(void *context, const struct ipc_peer *message)
{
    struct mta *mta = context;
    bool is_keyring = slice_eq(message->process, SLICE("keyring"));
    if (is_keyring && message->loop == 0)
        keyring_client_connect(mta->keyring, message->channel);
    else
        send_fd(mta, (struct placed_fd){
                         .loop = message->loop, .kind = is_keyring ? FD_KEYRING : FD_MAILBOX, .fd = message->channel });
}

/* ---- start: configuration, account names and `begin` have come ---- */

struct failure {
    struct mta *mta;
    struct text text;
};

static void tell_failure(void *context)
{
    struct failure *failure = context;
    fail(failure->mta, &failure->text);
}

static void submit(void *receiver, struct stream *stream, slice account) { receiver_adopt(receiver, stream, account); }

static void open_control(struct mta *mta)
{
    struct control_loop *loops = memory_new(mta->loop_count * sizeof *loops);
    for (uint64_t i = 0; i < mta->loop_count; i++)
        loops[i] = (struct control_loop){ .loop = mta->loops[i].loop,
                                          .spool = mta->loops[i].stages.spool,
                                          .schedule = mta->loops[i].stages.schedule,
                                          .receiver = mta->loops[i].stages.receiver,
                                          .events = mta->loops[i].stages.events };
    mta->control = control_new(&(struct control_doors){ .loop = mta->loop,
                                                        .listener_fd = mta->control_fd,
                                                        .loops = loops,
                                                        .loop_count = mta->loop_count,
                                                        .events = mta->loops[0].stages.events,
                                                        .submit = submit,
                                                        .receiver = mta->loops[0].stages.receiver });
    memory_free(loops);
}

static void begin_stages(void *context)
{
    struct mta_loop *to = context;
    stages_begin(&to->stages);
}

static void one_loop_is_open(void *context)
{
    struct mta *mta = context;
    if (--mta->pending)
        return;
    mta->is_started = true;
    open_control(mta);
    for (struct list *node; (node = list_take_first(&mta->early));) {
        struct placed_fd *placed = LIST_ITEM(node, struct placed_fd, early);
        if (placed->loop < mta->loop_count)
            loop_post(mta->loops[placed->loop].loop, place_fd, placed);
    }
    for (uint64_t i = 0; i < mta->loop_count; i++)
        loop_post(mta->loops[i].loop, begin_stages, &mta->loops[i]);
    ipc_send_ready(mta->supervisor, &(struct ipc_ready){ .pid = (uint64_t)getpid() });
}

static void open_stages(void *context)
{
    struct mta_loop *to = context;
    struct failure *failure = MEMORY_NEW(struct failure);
    failure->mta = to->mta;
    if (to->number > 0)
        to->keyring = keyring_client_new(to->loop);
    struct stages_params params = { .loop = to->loop,
                                    .number = to->number,
                                    .loop_count = (unsigned)to->mta->loop_count,
                                    .keyring = to->keyring,
                                    .snapshot = &to->mta->snapshot,
                                    .dns = to->mta->dns };
    if (stages_open(&to->stages, &params, &failure->text)) {
        memory_free(failure);
        loop_post(to->mta->loop, one_loop_is_open, to->mta);
    } else {
        loop_post(to->mta->loop, tell_failure, failure);
    }
}

static void close_loop(struct mta_loop *self);

static void *run_loop(void *context)
{
    struct mta_loop *self = context;
    loop_run(self->loop);
    close_loop(self);
    return NULL;
}

static bool start_loop(struct mta *mta, unsigned number)
{
    struct mta_loop *self = &mta->loops[number];
    char name[16];
    snprintf(name, sizeof name, "mta-%u", number);
    *self = (struct mta_loop){ .mta = mta, .number = number };
    self->keyring = number == 0 ? mta->keyring : NULL;
    self->loop = number == 0 ? mta->loop : loop_new(name);
    loop_post(self->loop, open_stages, self);
    return number == 0 || pthread_create(&self->thread, NULL, run_loop, self) == 0;
}

static bool open_dns(struct mta *mta, struct text *error)
{
    char *server = memory_copy_cstr(mta->config->dns.server.ptr, mta->config->dns.server.len);
    mta->dns = dns_new(mta->loop, &(struct dns_params){ .server = server[0] ? server : NULL }, error);
    memory_free(server);
    return mta->dns != NULL;
}

static void start_when_complete(struct mta *mta)
{
    if (mta->is_started || mta->pending || !mta->is_begun || !mta->config || !mta->has_account_names)
        return;
    struct text error = { 0 };
    if (!make_snapshot(mta, mta->config, &mta->snapshot, &error) || !open_dns(mta, &error))
        fail(mta, &error);
    mta->loops = memory_new(mta->loop_count * sizeof *mta->loops);
    mta->pending = mta->loop_count;
    for (unsigned i = 0; i < mta->loop_count; i++)
        if (!start_loop(mta, i)) {
            text_add_cstr(&error, "the machine gives no more threads");
            fail(mta, &error);
        }
    text_free(&error);
}

static void on_accounts(void *context, slice names)
{
    struct mta *mta = context;
    text_clear(&mta->account_names);
    text_add(&mta->account_names, names);
    mta->has_account_names = true;
    if (mta->is_started && !mta->is_stopping)
        renew_snapshot(mta);
    else
        start_when_complete(mta);
}

static void on_configure(void *context, const struct ipc_configure *message)
{
    struct mta *mta = context;
    struct text error = { 0 };
    struct config *config = process_read_config(message, &error);
    if (!config && !mta->config)
        fail(mta, &error);
    if (config) {
        if (mta->config)
            config_release(mta->config);
        mta->config = config;
        if (mta->is_started && !mta->is_stopping)
            renew_snapshot(mta);
    } else {
        ipc_send_failed(mta->supervisor, &(struct ipc_failed){ .text = text_slice(&error) });
    }
    text_free(&error);
}

static void on_begin(void *context, const struct ipc_begin *message)
{
    struct mta *mta = context;
    mta->loop_count = message->loops;
    mta->is_begun = true;
    start_when_complete(mta);
}

/* ---- end ---- */

static void stop_loop(void *context)
{
    struct mta_loop *self = context;
    loop_stop(self->loop);
}

/* The loops go on until all have finished: what one still asks another finds it there. */
static void one_loop_is_finished(void *context)
{
    struct mta *mta = context;
    if (--mta->pending)
        return;
    for (uint64_t i = 0; i < mta->loop_count; i++)
        loop_post(mta->loops[i].loop, stop_loop, &mta->loops[i]);
}

static void on_stages_stopped(void *context)
{
    struct mta_loop *self = context;
    loop_post(self->mta->loop, one_loop_is_finished, self->mta);
}

/* On the loop's thread, once it has stopped: nothing of it is called any more. */
static void close_loop(struct mta_loop *self)
{
    stages_close(&self->stages);
    keyring_client_free(self->keyring);
}

struct stop_order {
    struct mta_loop *to;
    bool at_once;
};

static void stop_stages(void *context)
{
    struct stop_order *order = context;
    stages_stop(&order->to->stages, order->at_once, on_stages_stopped, order->to);
    memory_free(order);
}

static void stop(struct mta *mta, bool at_once)
{
    if (!mta->is_started) /* nothing was accepted, nothing is open that matters */
        exit(EXIT_SUCCESS);
    if (mta->is_stopping)
        return;
    mta->is_stopping = true;
    control_stop(mta->control);
    mta->pending = mta->loop_count;
    for (uint64_t i = 0; i < mta->loop_count; i++) {
        struct stop_order *order = MEMORY_NEW(struct stop_order);
        *order = (struct stop_order){ .to = &mta->loops[i], .at_once = at_once };
        loop_post(mta->loops[i].loop, stop_stages, order);
    }
}

static void on_stop(void *context, const struct ipc_stop *message) { stop(context, message->at_once); }

/* The supervisor is gone: a new one will want the spool soon. */
static void on_supervisor_end(void *context) { stop(context, true); }

static const struct ipc_handlers handlers = {
    .configure = on_configure,
    .peer = on_peer,
    .listen = on_listen,
    .begin = on_begin,
    .stop = on_stop,
    .end = on_supervisor_end,
};

static void close_mta(struct mta *mta)
{
    for (uint64_t i = 1; i < mta->loop_count; i++) {
        pthread_join(mta->loops[i].thread, NULL);
        loop_free(mta->loops[i].loop);
    }
    control_free(mta->control);
    close_loop(&mta->loops[0]);
    dns_free(mta->dns);
    snapshot_release(&mta->snapshot);
    config_release(mta->config);
    ipc_channel_free(mta->supervisor);
    text_free(&mta->account_names);
    memory_free(mta->loops);
    loop_free(mta->loop);
}

int mta_main(int supervisor_fd)
{
    static const char *const read_write[] = { FOLDER_SPOOL, FOLDER_LOG "/mta", NULL };
    static const char *const read_only[] = {
        "/etc",      "/usr/share/dns", "/usr/lib/ssl",        "/usr/share/ca-certificates", "/proc/self",
        "/proc/sys", "/dev/urandom",   "/usr/share/zoneinfo", "/run/systemd/resolve",       NULL
    };
    struct confine_rules rules = { read_write, read_only, CONFINE_INTERNET };
    struct text error = { 0 };
    bool ok = confine_self(&rules, &error);
    /* bursts of threads must not leave an arena each behind */
    mallopt(M_ARENA_MAX, 4);
    struct mta mta = { .control_fd = -1 };
    list_init(&mta.early);
    mta.loop = loop_new("mta-0");
    mta.supervisor = ipc_channel_new(mta.loop, supervisor_fd, &handlers, &mta);
    mta.keyring = keyring_client_new(mta.loop);
    keyring_client_on_accounts(mta.keyring, on_accounts, &mta);
    if (!ok)
        fail(&mta, &error);
    if (error.len)
        fprintf(stderr, "postrider: mta: %s\n", text_cstr(&error));
    text_free(&error);
    loop_run(mta.loop);
    close_mta(&mta);
    return EXIT_SUCCESS;
}
