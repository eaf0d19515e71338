#include "programs/supervisor/folders.h"
#include "programs/process.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool find_user(slice name, struct owner *owner)
{
    char buffer[256];
    if (name.len >= sizeof buffer)
        return false;
    memcpy(buffer, name.ptr, name.len);
    buffer[name.len] = 0;
    const struct passwd *entry = getpwnam(buffer);
    if (!entry)
        return false;
    *owner = (struct owner){ entry->pw_uid, entry->pw_gid };
    return true;
}

bool owners_find(struct owners *owners, const struct config *config, bool users_are_optional, struct text *error)
{
    struct owner self = { geteuid(), getegid() };
    *owners = (struct owners){ .self = self, .mta = self, .keyring = self, .mailbox = self };
    if (self.uid != 0)
        return true;
    struct {
        slice name;
        const char *option;
        struct owner *owner;
    } users[] = {
        { config->user_mta, "user_mta", &owners->mta },
        { config->user_keyring, "user_keyring", &owners->keyring },
        { config->user_mailbox, "user_mailbox", &owners->mailbox },
    };
    size_t found = 0;
    for (size_t i = 0; i < COUNT(users); i++) {
        if (find_user(users[i].name, users[i].owner)) {
            found++;
        } else if (!users_are_optional) {
            text_add_format(error,
                            "system user " SLICE_FMT " (option %s) does not exist; make it with: useradd --system "
                            "--user-group --no-create-home --shell /usr/sbin/nologin " SLICE_FMT,
                            SLICE_ARG(users[i].name), users[i].option, SLICE_ARG(users[i].name));
            return false;
        }
    }
    owners->are_separate = found == COUNT(users);
    if (!owners->are_separate)
        owners->mta = owners->keyring = owners->mailbox = self;
    return true;
}

static bool make_parents(const char *dir, struct text *error)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path) {
        text_add_cstr(error, "dir is too long");
        return false;
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            text_add_format(error, "cannot make the folder %s: %s", path, strerror(errno));
            return false;
        }
        *slash = '/';
    }
    return true;
}

static bool make_folder(const char *path, mode_t mode, struct owner owner, struct text *error)
{
    bool is_new = mkdir(path, mode) == 0;
    if (!is_new && errno != EEXIST) {
        text_add_format(error, "cannot make the folder %s: %s", path, strerror(errno));
        return false;
    }
    struct stat folder;
    if ((is_new && (lchown(path, owner.uid, owner.gid) != 0 || chmod(path, mode) != 0)) || stat(path, &folder) != 0) {
        text_add_format(error, "cannot set up the folder %s: %s", path, strerror(errno));
        return false;
    }
    if (!S_ISDIR(folder.st_mode)) {
        text_add_format(error, "%s is not a folder", path);
        return false;
    }
    if (folder.st_uid != owner.uid) {
        text_add_format(error,
                        "the folder %s belongs to user number %u, but the process that works in it runs as user number "
                        "%u; if it is this server's, give it over with: chown -R %u:%u '%s'",
                        path, folder.st_uid, owner.uid, owner.uid, owner.gid, path);
        return false;
    }
    return true;
}

bool folders_prepare(const char *dir, const struct owners *owners, struct text *error)
{
    if (!make_parents(dir, error) || !make_folder(dir, 0755, owners->self, error))
        return false;
    if (chdir(dir) != 0) {
        text_add_format(error, "cannot enter the folder %s: %s", dir, strerror(errno));
        return false;
    }
    const struct {
        const char *path;
        mode_t mode;
        struct owner owner;
    } folders[] = {
        { FOLDER_RUN, 0755, owners->self },
        { FOLDER_KEYS, 0700, owners->self },
        { FOLDER_LOG, 0755, owners->self },
        { FOLDER_LOG "/mta", 0750, owners->mta },
        { FOLDER_LOG "/keyring", 0750, owners->keyring },
        { FOLDER_LOG "/mailbox", 0750, owners->mailbox },
        { FOLDER_SPOOL, 0700, owners->mta },
        { FOLDER_ACCOUNTS, 0700, owners->keyring },
        { FOLDER_MAIL, 0700, owners->mailbox },
    };
    for (size_t i = 0; i < COUNT(folders); i++)
        if (!make_folder(folders[i].path, folders[i].mode, folders[i].owner, error))
            return false;
    return true;
}

enum { LEFT_CHILDREN_WAIT_MS = 15000, LOCK_POLL_MS = 20 };

static pid_t lock_owner(int lock)
{
    char owner[32];
    uint64_t pid = 0;
    ssize_t len = pread(lock, owner, sizeof owner, 0);
    bool ok = len > 0 && parse_u64(slice_trim_lines(slice_from(owner, (size_t)len)), &pid) && pid <= INT32_MAX;
    return ok ? (pid_t)pid : 0;
}

/* A supervisor that was killed leaves children that end by themselves, and hold the lock until then. */
static bool take_lock(int lock)
{
    for (unsigned waited_ms = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_POLL_MS) {
        pid_t owner = lock_owner(lock);
        bool owner_is_gone = owner && kill(owner, 0) != 0 && errno == ESRCH;
        if (!owner_is_gone || waited_ms >= LEFT_CHILDREN_WAIT_MS)
            return false;
        if (waited_ms == 1000)
            fputs("postrider: waiting for the processes of a server that was killed to end\n", stderr);
        usleep(LOCK_POLL_MS * 1000);
    }
    return true;
}

bool folders_lock(int *lock, struct text *error)
{
    *lock = open(FOLDER_RUN "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*lock < 0) {
        text_add_format(error, "cannot open " FOLDER_RUN "/lock: %s", strerror(errno));
        return false;
    }
    if (!take_lock(*lock)) {
        text_add_format(error,
                        "another Postrider serves this folder already (process %d); stop it first, or give this one "
                        "another dir",
                        (int)lock_owner(*lock));
        return false;
    }
    char owner[32];
    int len = snprintf(owner, sizeof owner, "%d\n", (int)getpid());
    if (ftruncate(*lock, 0) != 0 || pwrite(*lock, owner, (size_t)len, 0) != len) {
        text_add_format(error, "cannot write " FOLDER_RUN "/lock: %s", strerror(errno));
        return false;
    }
    return true;
}
