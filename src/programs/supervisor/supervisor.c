#include "programs/supervisor/supervisor.h"
#include "base/clock.h"
#include "base/memory.h"
#include "event/event.h"
#include "io/loop.h"
#include "programs/check/check.h"
#include "programs/ctl/protocol.h"
#include "programs/process.h"
#include "programs/supervisor/certificate.h"
#include "programs/supervisor/child.h"
#include "programs/supervisor/listeners.h"
#include "programs/supervisor/reload.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { KEYRING, MAILBOX, MTA, CHILDREN };
static const char *const roles[CHILDREN] = { [KEYRING] = "keyring", [MAILBOX] = "mailbox", [MTA] = "mta" };

/* How long a stop may take: what is in flight ends, then the process is told to end at once, then it is killed. */
#define STOP_PATIENCE_MS SECONDS(10)
#define STOP_AT_ONCE_MS  SECONDS(3)
/* Ctrl-C often comes twice: from the terminal to its whole group, and from the script or `timeout` in front of us. */
#define SAME_SIGNAL_MS     SECONDS(1)
#define RESTART_FIRST_MS   100
#define RESTART_LONGEST_MS SECONDS(30)
#define STEADY_MS          SECONDS(60) /* a process that ran this long starts again without a wait */

struct supervisor {
    const struct supervisor_params *params;
    char *config_file; /* absolute: the working folder changes */
    struct loop *loop;
    struct config *config;
    struct event_log *log;
    struct loop_hook turn_end;
    struct owners owners;
    struct bound_sockets sockets;
    unsigned loops;
    struct child_program program;
    struct child children[CHILDREN];
    bool was_ready, is_stopping;
    uint64_t stop_asked_ms; /* of the last signal to stop that counted */
    int exit_code;
    struct timer stop_timer;
};

static void say(const char *format, ...) PRINTF_LIKE(1, 2);
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("postrider: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

static struct config *read_config(struct supervisor *s, struct config_mistakes *mistakes)
{
    struct config *config = s->config_file ? config_read_file(s->config_file, mistakes)
                                           : config_read_text(s->params->config_text, s->params->config_name,
                                                              s->params->config_folder, mistakes);
    if (config && !check_deeply(config, mistakes, NULL)) {
        config_release(config);
        config = NULL;
    }
    return config;
}

static void mistakes_to_text(const struct config_mistakes *mistakes, struct text *text)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        text_add_config_mistake(text, &mistakes->items[i]);
        text_add_byte(text, '\n');
    }
}

/* The configuration in a sealed memfd, as far as this child may know it. */
static int config_to_fd(const struct config *config, enum config_share share)
{
    struct text yaml = { 0 };
    config_write(&yaml, config, share);
    int fd = memfd_create("configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t written = 0;
    while (fd >= 0 && written < yaml.len) {
        ssize_t n = write(fd, yaml.ptr + written, yaml.len - written);
        if (n < 0 && errno != EINTR) {
            close(fd);
            fd = -1;
        } else if (n > 0) {
            written += (size_t)n;
        }
    }
    if (fd >= 0)
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    memory_wipe(yaml.ptr, yaml.len);
    text_free(&yaml);
    return fd;
}

static void send_config(struct supervisor *s, unsigned which)
{
    static const enum config_share shares[CHILDREN] = {
        [KEYRING] = CONFIG_FOR_KEYRING, [MAILBOX] = CONFIG_FOR_MAILBOX, [MTA] = CONFIG_FOR_MTA
    };
    int fd = config_to_fd(s->config, shares[which]);
    if (fd < 0) {
        event_trouble(s->log, "cannot pass the configuration on to %s: %s", roles[which], strerror(errno));
        return;
    }
    ipc_send_configure(s->children[which].channel, &(struct ipc_configure){ .text = fd, .folder = SLICE(".") });
}

static void send_socket(struct ipc_channel *channel, const struct bound_socket *bound)
{
    int fd = fcntl(bound->fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        ipc_send_listen(channel, &(struct ipc_listen){ .name = slice_from_cstr(bound->name),
                                                       .role = bound->role,
                                                       .loop = bound->loop,
                                                       .socket = fd });
}

static void send_sockets(struct supervisor *s, unsigned which)
{
    for (size_t i = 0; i < s->sockets.count; i++) {
        bool is_for_keyring = strcmp(s->sockets.items[i].name, "unix:accounts") == 0;
        if ((which == KEYRING && is_for_keyring) || (which == MTA && !is_for_keyring))
            send_socket(s->children[which].channel, &s->sockets.items[i]);
    }
}

/* One channel for each loop of mta to keyring or mailbox. */
static void link_to_mta(struct supervisor *s, unsigned which)
{
    struct ipc_channel *mta = s->children[MTA].channel, *other = s->children[which].channel;
    for (unsigned loop = 0; mta && other && loop < s->loops; loop++) {
        int pair[2];
        if (!ipc_pair(pair)) {
            event_trouble(s->log, "cannot make a channel between mta and %s: %s", roles[which], strerror(errno));
            return;
        }
        ipc_send_peer(mta,
                      &(struct ipc_peer){ .process = slice_from_cstr(roles[which]), .loop = loop, .channel = pair[0] });
        ipc_send_peer(other, &(struct ipc_peer){ .process = SLICE("mta"), .loop = loop, .channel = pair[1] });
    }
}

static void start_stop(struct supervisor *s, bool at_once);

static void fail_start(struct supervisor *s, const char *text, size_t len)
{
    say("%.*s", (int)len, text);
    s->exit_code = EXIT_FAILURE;
    start_stop(s, true);
}

static void print_ready(struct supervisor *s)
{
    puts("ready");
    fflush(stdout);
    const char *path = getenv("NOTIFY_SOCKET"); /* sd_notify(3): systemd's Type=notify */
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (path && (path[0] == '/' || path[0] == '@') && strlen(path) < sizeof to.sun_path) {
        memcpy(to.sun_path, path, strlen(path));
        if (path[0] == '@')
            to.sun_path[0] = 0;
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        if (fd < 0 || sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0)
            event_trouble(s->log, "cannot tell the service manager that we are ready: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
    }
}

static void on_ready(void *context, const struct ipc_ready *message)
{
    (void)message;
    struct child *child = context;
    struct supervisor *s = child->supervisor;
    child->is_ready = true;
    for (unsigned i = 0; i < CHILDREN; i++)
        if (!s->children[i].is_ready)
            return;
    if (s->was_ready || s->is_stopping)
        return;
    s->was_ready = true;
    event_start(s->log, EVENT_server_started);
    event_cstr(s->log, "version", POSTRIDER_VERSION);
    event_text(s->log, "hostname", s->config->hostname);
    event_end(s->log);
    print_ready(s);
}

static void on_failed(void *context, const struct ipc_failed *message)
{
    struct child *child = context;
    struct supervisor *s = child->supervisor;
    if (!s->was_ready && !s->is_stopping)
        fail_start(s, message->text.ptr, message->text.len);
    else
        event_trouble(s->log, "%s: " SLICE_FMT, child->role, SLICE_ARG(message->text));
}

/* The channel is gone: the process ends by itself or has ended; SIGCHLD tells. */
static void on_channel_end(void *context)
{
    struct child *child = context;
    ipc_channel_free(child->channel);
    child->channel = NULL;
    if (child->pid)
        kill(child->pid, SIGTERM);
}

static const struct ipc_handlers handlers = { .ready = on_ready, .failed = on_failed, .end = on_channel_end };

static bool start_child(struct supervisor *s, unsigned which, struct text *error)
{
    struct child *child = &s->children[which];
    if (!child_start(child, &s->program, s->loop, &handlers, error))
        return false;
    send_config(s, which);
    send_sockets(s, which);
    if (which == MTA) {
        link_to_mta(s, KEYRING);
        link_to_mta(s, MAILBOX);
    } else {
        link_to_mta(s, which);
    }
    ipc_send_begin(child->channel, &(struct ipc_begin){ .loops = s->loops });
    return true;
}

static void restart_child(void *context)
{
    struct child *child = context;
    struct supervisor *s = child->supervisor;
    struct text error = { 0 };
    if (!start_child(s, (unsigned)(child - s->children), &error)) {
        event_trouble(s->log, "%s", text_cstr(&error));
        timer_set(s->loop, &child->restart, RESTART_LONGEST_MS, restart_child, child);
    }
    text_free(&error);
}

static void add_wait_status(struct text *text, int status)
{
    if (WIFSIGNALED(status))
        text_add_format(text, "killed by signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                        WCOREDUMP(status) ? ", core dumped" : "");
    else
        text_add_format(text, "exit code %d", WEXITSTATUS(status));
}

static void plan_restart(struct supervisor *s, struct child *child, slice why)
{
    uint64_t ran_ms = loop_now_ms(s->loop) - child->started_ms;
    child->failures = ran_ms >= STEADY_MS ? 0 : child->failures + 1;
    uint64_t wait_ms = RESTART_FIRST_MS;
    for (unsigned i = 1; i < child->failures && wait_ms < RESTART_LONGEST_MS; i++)
        wait_ms *= 2;
    wait_ms = wait_ms < RESTART_LONGEST_MS ? wait_ms : RESTART_LONGEST_MS;
    event_start(s->log, EVENT_process_ended);
    event_cstr(s->log, "child", child->role);
    event_text(s->log, "text", why);
    event_number(s->log, "restart_ms", wait_ms);
    event_end(s->log);
    timer_set(s->loop, &child->restart, wait_ms, restart_child, child);
}

static bool all_ended(const struct supervisor *s)
{
    bool ended = true;
    for (unsigned i = 0; i < CHILDREN; i++)
        ended = ended && s->children[i].pid == 0;
    return ended;
}

static void tell_stop(struct child *child, bool at_once)
{
    if (child->channel)
        ipc_send_stop(child->channel, &(struct ipc_stop){ .at_once = at_once });
    else if (child->pid)
        kill(child->pid, SIGTERM);
}

static void on_child_ended(struct supervisor *s, struct child *child, int status)
{
    struct text why = { 0 };
    add_wait_status(&why, status);
    child->pid = 0;
    child->is_ready = false;
    if (child->channel)
        ipc_channel_free(child->channel);
    child->channel = NULL;
    if (s->is_stopping) {
        if (child == &s->children[MTA]) {
            tell_stop(&s->children[KEYRING], false);
            tell_stop(&s->children[MAILBOX], false);
        }
        if (all_ended(s))
            loop_stop(s->loop);
    } else if (!s->was_ready) {
        struct text text = { 0 };
        text_add_format(&text, "the %s process ended while starting: %s", child->role, text_cstr(&why));
        fail_start(s, text.ptr, text.len);
        text_free(&text);
    } else {
        plan_restart(s, child, text_slice(&why));
    }
    text_free(&why);
}

static void on_sigchld(void *context)
{
    struct supervisor *s = context;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (unsigned i = 0; i < CHILDREN; i++)
            if (s->children[i].pid == pid)
                on_child_ended(s, &s->children[i], status);
}

static void kill_all(void *context)
{
    struct supervisor *s = context;
    for (unsigned i = 0; i < CHILDREN; i++)
        if (s->children[i].pid)
            kill(s->children[i].pid, SIGKILL);
}

static void stop_at_once(void *context)
{
    struct supervisor *s = context;
    start_stop(s, true);
}

static void start_stop(struct supervisor *s, bool at_once)
{
    s->is_stopping = true;
    for (unsigned i = 0; i < CHILDREN; i++)
        timer_clear(s->loop, &s->children[i].restart);
    /* keyring and mailbox serve mta until it has ended */
    if (s->children[MTA].pid && !at_once)
        tell_stop(&s->children[MTA], false);
    else
        for (unsigned i = 0; i < CHILDREN; i++)
            tell_stop(&s->children[i], true);
    if (at_once)
        timer_set(s->loop, &s->stop_timer, STOP_AT_ONCE_MS, kill_all, s);
    else
        timer_set(s->loop, &s->stop_timer, STOP_PATIENCE_MS, stop_at_once, s);
    if (all_ended(s))
        loop_stop(s->loop);
}

static void on_stop_signal(void *context)
{
    struct supervisor *s = context;
    bool again = s->is_stopping;
    uint64_t now_ms = loop_now_ms(s->loop);
    if (again && now_ms - s->stop_asked_ms < SAME_SIGNAL_MS)
        return;
    s->stop_asked_ms = now_ms;
    event_start(s->log, EVENT_server_stopping);
    event_cstr(s->log, "reason", again ? "second signal" : "signal");
    event_end(s->log);
    start_stop(s, again);
}

static void refuse_config(struct supervisor *s, slice text)
{
    event_start(s->log, EVENT_config_refused);
    event_cstr(s->log, "file", s->config_file ? s->config_file : s->params->config_name);
    event_text(s->log, "text", text);
    event_end(s->log);
}

static void take_config(struct supervisor *s, struct config *renewed)
{
    struct text names = { 0 };
    reload_list_restart_options(&names, s->config, renewed);
    if (names.len)
        event_trouble(s->log, "changed, but takes effect only after a restart: %s", text_cstr(&names));
    text_free(&names);
    config_release(s->config);
    s->config = renewed;
    for (unsigned i = 0; i < CHILDREN; i++)
        if (s->children[i].channel)
            send_config(s, i);
    process_configure_log(s->log, renewed);
    event_start(s->log, EVENT_config_loaded);
    event_cstr(s->log, "file", s->config_file ? s->config_file : s->params->config_name);
    event_end(s->log);
}

static void on_sighup(void *context)
{
    struct supervisor *s = context;
    struct config_mistakes mistakes = { 0 };
    struct text text = { 0 };
    struct config *renewed = read_config(s, &mistakes);
    if (renewed && certificate_provide(renewed, &text)) {
        take_config(s, renewed);
    } else {
        mistakes_to_text(&mistakes, &text);
        refuse_config(s, text_slice(&text));
        if (renewed)
            config_release(renewed);
    }
    text_free(&text);
    config_mistakes_free(&mistakes);
}

static void on_turn_end(void *context)
{
    struct supervisor *s = context;
    event_flush(s->log);
}

/* As many descriptors as the machine allows: sessions need one each. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static unsigned count_loops(const struct config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (config->loops)
        return (unsigned)config->loops;
    /* Half the processors: the kernel's TCP work, the other processes and the disk's threads want the rest, and two
     * loops on two processors share no sync, which costs more than the second loop brings. */
    return processors > 3 ? (unsigned)(processors / 2) : 1;
}

/* A journal that an earlier run with more loops left behind gets a loop without listeners, so that its mail leaves. */
static unsigned count_journals(unsigned loops)
{
    enum { LOOPS_MAX = 64 };
    for (unsigned i = loops; i < LOOPS_MAX; i++) {
        char path[32];
        snprintf(path, sizeof path, FOLDER_SPOOL "/%u", i);
        if (access(path, F_OK) == 0)
            loops = i + 1;
    }
    return loops;
}

static bool prepare(struct supervisor *s, struct text *error)
{
    if (!owners_find(&s->owners, s->config, s->params->users_are_optional, error))
        return false;
    char *dir = memory_copy_cstr(s->config->dir.ptr, s->config->dir.len);
    bool ok = folders_prepare(dir, &s->owners, error);
    memory_free(dir);
    unsigned loops = count_loops(s->config);
    s->loops = ok ? count_journals(loops) : loops;
    s->program.drops_user = s->owners.are_separate;
    return ok && folders_lock(&s->program.lock, error) && certificate_provide(s->config, error) &&
           listeners_open(&s->sockets, s->config, loops, error) &&
           listeners_open_unix(&s->sockets, "unix:control", CONTROL_SOCKET, 0666, s->owners.mta.uid, error) &&
           listeners_open_unix(&s->sockets, "unix:accounts", ACCOUNTS_SOCKET, 0600, s->owners.keyring.uid, error) &&
           child_open_program(&s->program.program, error) &&
           (s->log = process_open_log("", "supervisor", s->config, s->loop, error)) != NULL;
}

static void run(struct supervisor *s)
{
    struct text error = { 0 };
    s->turn_end = (struct loop_hook){ .function = on_turn_end, .context = s };
    loop_add_turn_end(s->loop, &s->turn_end);
    loop_on_signal(s->loop, SIGCHLD, on_sigchld, s);
    loop_on_signal(s->loop, SIGTERM, on_stop_signal, s);
    loop_on_signal(s->loop, SIGINT, on_stop_signal, s);
    loop_on_signal(s->loop, SIGHUP, on_sighup, s);
    for (unsigned i = 0; i < CHILDREN; i++) {
        s->children[i] = (struct child){ .role = roles[i], .supervisor = s };
        s->children[i].owner = i == MTA ? s->owners.mta : i == KEYRING ? s->owners.keyring : s->owners.mailbox;
    }
    bool ok = true;
    for (unsigned i = 0; ok && i < CHILDREN; i++)
        ok = start_child(s, i, &error);
    if (!ok)
        fail_start(s, error.ptr, error.len);
    if (ok || !all_ended(s))
        loop_run(s->loop);
    text_free(&error);
    event_log_close(s->log);
    unlink(CONTROL_SOCKET);
    unlink(ACCOUNTS_SOCKET);
}

static int read_first_config(struct supervisor *s)
{
    struct config_mistakes mistakes = { 0 };
    struct text text = { 0 };
    s->config = read_config(s, &mistakes);
    if (!s->config) {
        mistakes_to_text(&mistakes, &text);
        fputs(text_cstr(&text), stderr);
        say("%zu mistake%s in the configuration; nothing was started", mistakes.count, mistakes.count == 1 ? "" : "s");
    }
    text_free(&text);
    config_mistakes_free(&mistakes);
    return s->config ? EXIT_SUCCESS : EX_CONFIG;
}

int supervisor_run(const struct supervisor_params *params)
{
    struct supervisor s = { .params = params, .program = { .program = -1, .lock = -1 } };
    struct text error = { 0 };
    if (params->config_file && !(s.config_file = realpath(params->config_file, NULL))) {
        say("cannot read the configuration %s: %s", params->config_file, strerror(errno));
        return EX_NOINPUT;
    }
    umask(077);
    raise_descriptor_limit();
    s.exit_code = read_first_config(&s);
    if (s.config) {
        s.loop = loop_new("supervisor");
        if (prepare(&s, &error)) {
            run(&s);
        } else {
            say("%s", text_cstr(&error));
            s.exit_code = EXIT_FAILURE;
        }
        loop_free(s.loop);
        config_release(s.config);
    }
    listeners_close(&s.sockets);
    if (s.program.program >= 0)
        close(s.program.program);
    if (s.program.lock >= 0)
        close(s.program.lock);
    free(s.config_file);
    text_free(&error);
    return s.exit_code;
}
