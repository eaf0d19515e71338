#include "programs/confine.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
/* Landlock has no wrappers in glibc; kernel headers of Debian 12 know version 2 of it, so newer rights are named here.
 */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#define ACCESS_TRUNCATE (1ULL << 14)

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_WRITE                                                                                                   \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |    \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                        \
     LANDLOCK_ACCESS_FS_REFER | ACCESS_TRUNCATE)
#define ACCESS_FILE_ONLY (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
/* Everything of version 1, also what no rule gives back: EXECUTE, MAKE_CHAR, MAKE_BLOCK, MAKE_FIFO, MAKE_SYM. */
#define ACCESS_VERSION_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

static uint64_t landlock_handled_access(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return 0;
    uint64_t access = ACCESS_VERSION_1;
    if (version >= 2)
        access |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        access |= ACCESS_TRUNCATE;
    return access;
}

static bool allow_path(int ruleset, const char *path, uint64_t access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    int folder = open(path, O_PATH | O_CLOEXEC | O_DIRECTORY);
    if (folder < 0)
        access &= ACCESS_FILE_ONLY;
    else
        close(folder);
    struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
    bool ok = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    close(fd);
    return ok;
}

static bool confine_files(const struct confine_rules *rules, struct text *text)
{
    uint64_t handled = landlock_handled_access();
    if (!handled) {
        text_add_cstr(text, "this kernel has no Landlock: files are protected by ownership alone");
        return true;
    }
    struct landlock_ruleset_attr attributes = { .handled_access_fs = handled };
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    bool ok = ruleset >= 0;
    for (const char *const *path = rules->read_write; ok && path && *path; path++)
        ok = allow_path(ruleset, *path, ACCESS_WRITE & handled);
    for (const char *const *path = rules->read_only; ok && path && *path; path++)
        ok = allow_path(ruleset, *path, ACCESS_READ & handled);
    ok = ok && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    if (!ok)
        text_add_format(text, "Landlock refused: %s", strerror(errno));
    if (ruleset >= 0)
        close(ruleset);
    return ok;
}

/* What no process of ours ever does after its start; EPERM rather than death, so that a library that merely probes
 * lives. */
static const int never_needed[] = {
    SCMP_SYS(execve),        SCMP_SYS(execveat),
    SCMP_SYS(ptrace),        SCMP_SYS(process_vm_readv),
    SCMP_SYS(mount),         SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),    SCMP_SYS(chroot),
    SCMP_SYS(setuid),        SCMP_SYS(setgid),
    SCMP_SYS(setresuid),     SCMP_SYS(setresgid),
    SCMP_SYS(setgroups),     SCMP_SYS(setns),
    SCMP_SYS(unshare),       SCMP_SYS(process_vm_writev),
    SCMP_SYS(bpf),           SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),   SCMP_SYS(kexec_load),
    SCMP_SYS(init_module),   SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(keyctl),
    SCMP_SYS(add_key),       SCMP_SYS(request_key),
    SCMP_SYS(reboot),        SCMP_SYS(swapon),
    SCMP_SYS(acct),          SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(sethostname),
    SCMP_SYS(personality),   SCMP_SYS(open_by_handle_at),
    SCMP_SYS(mknod),         SCMP_SYS(mknodat),
};

static bool confine_calls(enum confine_network network, struct text *text)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter) {
        text_add_cstr(text, "seccomp is not to be had");
        return false;
    }
    int error = 0;
    for (size_t i = 0; i < COUNT(never_needed) && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), never_needed[i], 0);
    if (network == CONFINE_NO_INTERNET && !error)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX));
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    if (error)
        text_add_format(text, "seccomp refused: %s", strerror(-error));
    return !error;
}

bool confine_self(const struct confine_rules *rules, struct text *text)
{
    tzset(); /* the time zone's file is read now: afterwards it may be out of reach, and dates would silently be UTC */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        text_add_format(text, "no_new_privs refused: %s", strerror(errno));
        return false;
    }
    return confine_files(rules, text) && confine_calls(rules->network, text);
}
