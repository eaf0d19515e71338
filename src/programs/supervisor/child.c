#include "programs/supervisor/child.h"
#include "programs/process.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

bool child_open_program(int *program, struct text *error)
{
    *program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (*program < 0)
        text_add_format(error, "cannot open the program itself: %s", strerror(errno));
    return *program >= 0;
}

/* What children get of our environment: never all of it, for it may hold the secrets that ${NAME} in the configuration
 * refers to. */
static const char *const passed_on[] = { "LANG",         "PATH",         "TZ",           "JOURNAL_STREAM",
                                         "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS" };
enum { ENVIRONMENT_MAX = COUNT(passed_on) + 1 };

static void choose_environment(char *environment[ENVIRONMENT_MAX])
{
    size_t count = 0;
    for (char **variable = environ; *variable && count + 1 < ENVIRONMENT_MAX; variable++)
        for (size_t i = 0; i < COUNT(passed_on); i++) {
            size_t len = strlen(passed_on[i]);
            if (strncmp(*variable, passed_on[i], len) == 0 && (*variable)[len] == '=')
                environment[count++] = *variable;
        }
    environment[count] = NULL;
}

/* Between fork and exec: only calls that are safe there; a failure is told by the exit code and one line. */
NORETURN static void become_child(const struct child *child, const struct child_program *program, int channel)
{
    char *arguments[] = { "postrider", "--process", (char *)(uintptr_t)child->role, NULL };
    char *environment[ENVIRONMENT_MAX];
    choose_environment(environment);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group; the supervisor alone decides */
    int null = open("/dev/null", O_RDWR);
    bool ok = null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0;
    /* out of the way of the numbers they get first */
    channel = fcntl(channel, F_DUPFD_CLOEXEC, PROCESS_LOCK_FD + 1);
    int lock = fcntl(program->lock, F_DUPFD_CLOEXEC, PROCESS_LOCK_FD + 1);
    int binary = fcntl(program->program, F_DUPFD_CLOEXEC, PROCESS_LOCK_FD + 1);
    ok = ok && channel >= 0 && lock >= 0 && binary >= 0;
    ok = ok && dup2(channel, PROCESS_CHANNEL_FD) >= 0 && dup2(lock, PROCESS_LOCK_FD) >= 0;
    if (program->drops_user)
        ok = ok && setgroups(0, NULL) == 0 && setresgid(child->owner.gid, child->owner.gid, child->owner.gid) == 0 &&
             setresuid(child->owner.uid, child->owner.uid, child->owner.uid) == 0;
    ok = ok && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (ok)
        fexecve(binary, arguments, environment);
    dprintf(STDERR_FILENO, "postrider: cannot start the %s process: %s\n", child->role, strerror(errno));
    _exit(127);
}

bool child_start(struct child *child, const struct child_program *program, struct loop *loop,
                 const struct ipc_handlers *handlers, struct text *error)
{
    int pair[2];
    if (!ipc_pair(pair)) {
        text_add_format(error, "cannot make a channel for the %s process: %s", child->role, strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_child(child, program, pair[1]);
    close(pair[1]);
    if (pid < 0) {
        text_add_format(error, "cannot start the %s process: %s", child->role, strerror(errno));
        close(pair[0]);
        return false;
    }
    child->pid = pid;
    child->is_ready = false;
    child->started_ms = loop_now_ms(loop);
    child->channel = ipc_channel_new(loop, pair[0], handlers, child);
    return true;
}
