#include "programs/supervisor/folders.h"
#include "programs/process.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
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
                        "%u; if it is this server's, give it over with: chown -R %u:%u %s",
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
        { FOLDER_RUN, 0755, owners->self },        { FOLDER_KEYS, 0700, owners->self },
        { FOLDER_LOG, 0755, owners->self },        { FOLDER_LOG "/mta", 0750, owners->mta },
        { FOLDER_LOG "/keyring", 0750, owners->keyring }, { FOLDER_LOG "/mailbox", 0750, owners->mailbox },
        { FOLDER_SPOOL, 0700, owners->mta },       { FOLDER_ACCOUNTS, 0700, owners->keyring },
        { FOLDER_MAIL, 0700, owners->mailbox },
    };
    for (size_t i = 0; i < COUNT(folders); i++)
        if (!make_folder(folders[i].path, folders[i].mode, folders[i].owner, error))
            return false;
    return true;
}

bool folders_lock(struct text *error)
{
    /* The descriptor is kept for the life of the process on purpose: the kernel gives the lock back at its end. */
    int fd = open(FOLDER_RUN "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        text_add_format(error, "cannot open " FOLDER_RUN "/lock: %s", strerror(errno));
        return false;
    }
    char owner[32] = "";
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t len = pread(fd, owner, sizeof owner - 1, 0);
        slice pid = slice_trim_lines(slice_from(owner, len > 0 ? (size_t)len : 0));
        text_add_format(error, "another Postrider serves this folder already (process " SLICE_FMT
                               "); stop it first, or give this one another dir", SLICE_ARG(pid));
        close(fd);
        return false;
    }
    int len = snprintf(owner, sizeof owner, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, owner, (size_t)len, 0) != len) {
        text_add_format(error, "cannot write " FOLDER_RUN "/lock: %s", strerror(errno));
        close(fd);
        return false;
    }
    return true;
}
