#include "spool/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void add_user(struct text *to, uid_t uid)
{
    char memory[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(uid, &entry, memory, sizeof(memory), &found) == 0 && found)
        text_add_format(to, "%s (uid %u)", found->pw_name, (unsigned)uid);
    else
        text_add_format(to, "uid %u", (unsigned)uid);
}

static void explain_owner(struct text *error, const char *dir, uid_t owner)
{
    text_add_format(error, "spool %s belongs to user ", dir);
    add_user(error, owner);
    text_add_cstr(error, ", and this process runs as ");
    add_user(error, geteuid());
    text_add_format(error, "; start it as the owner, or give the folder away: chown -R %u %s", (unsigned)geteuid(),
                    dir);
}

/* The folder's own name must survive a power cut as well as what is in it. */
static bool make_folder(const char *dir)
{
    if (mkdir(dir, 0700) != 0)
        return errno == EEXIST;
    struct text parent = { 0 };
    text_add_format(&parent, "%s/..", dir);
    int fd = open(text_cstr(&parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_durable = fd >= 0 && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    text_free(&parent);
    errno = error;
    return is_durable;
}

/* With its parent ("spool" of "spool/0"), but no more: a misspelt path is to be seen. */
static bool make_folders(const char *dir)
{
    if (make_folder(dir))
        return true;
    size_t slash = slice_find_byte_last(slice_from_cstr(dir), '/');
    if (errno != ENOENT || slash == SLICE_NOT_FOUND || slash == 0)
        return false;
    struct text parent = { 0 };
    text_add(&parent, slice_from(dir, slash));
    bool is_made = make_folder(text_cstr(&parent));
    text_free(&parent);
    return is_made && make_folder(dir);
}

int spool_open_folder(const char *dir, struct text *error)
{
    struct stat status;
    if (!make_folders(dir)) {
        text_add_format(error, "cannot make the spool folder %s: %s", dir, strerror(errno));
        return -1;
    }
    int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int open_error = errno;
    if (stat(dir, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid != geteuid())
        explain_owner(error, dir, status.st_uid);
    else if (folder < 0)
        text_add_format(error, "cannot open the spool folder %s: %s", dir, strerror(open_error));
    else
        return folder;
    if (folder >= 0)
        close(folder);
    return -1;
}

static void explain_holder(struct text *error, int lock, const char *dir)
{
    char pid[24] = "", name[64] = "", path[64];
    ssize_t got = pread(lock, pid, sizeof(pid) - 1, 0);
    uint64_t number;
    text_add_format(error, "spool %s is in use by another server", dir);
    if (got > 0 && parse_u64(slice_trim_lines(slice_from(pid, (size_t)got)), &number)) {
        snprintf(path, sizeof(path), "/proc/%lu/comm", (unsigned long)number);
        int comm = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t octets = comm >= 0 ? read(comm, name, sizeof(name) - 1) : 0;
        if (comm >= 0)
            close(comm);
        slice called = slice_trim_lines(slice_from(name, octets > 0 ? (size_t)octets : 0));
        text_add_format(error, ": process %lu", (unsigned long)number);
        if (called.len)
            text_add_format(error, " (" SLICE_FMT ")", SLICE_ARG(called));
    }
    text_add_cstr(error, "; two servers on one spool would deliver everything twice: stop the other one first");
}

int spool_lock(int folder, const char *dir, struct text *error)
{
    int lock = openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        text_add_format(error, "cannot make the lock %s/lock: %s", dir, strerror(errno));
        return -1;
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            explain_holder(error, lock, dir);
        else
            text_add_format(error, "cannot lock %s/lock: %s", dir, strerror(errno));
        close(lock);
        return -1;
    }
    /* only for people and for explain_holder: the lock itself is the kernel's and ends with the process */
    char pid[24];
    int octets = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) != 0 || pwrite(lock, pid, (size_t)octets, 0) != octets) {
        /* a full disk: the lock holds without its number */
    }
    return lock;
}
