#include "event/rotating_file.h"
#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0640, FOLDER_MODE = 0750, PENDING_MAX = 1024 * 1024, KEPT_FILES_MAX = 1000 };

/* True when the file is open; else errno says why not. */
static bool open_file(struct rotating_file *file)
{
    struct stat status;
    int fd = openat(file->folder_fd, text_cstr(&file->name),
                    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
    if (fd < 0)
        return false;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        errno = EINVAL; /* a pipe or a device under that name would stop or swallow everything */
        return false;
    }
    file->fd = fd;
    file->size_octets = (uint64_t)status.st_size;
    return true;
}

bool rotating_file_open(struct rotating_file *file, const char *folder, slice name, struct text *error)
{
    *file = (struct rotating_file){ .folder_fd = -1, .fd = -1 };
    if (mkdir(folder, FOLDER_MODE) != 0 && errno != EEXIST) {
        text_add_format(error, "cannot make the folder %s: %s", folder, strerror(errno));
        return false;
    }
    file->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder_fd < 0) {
        text_add_format(error, "cannot open the folder %s: %s", folder, strerror(errno));
        return false;
    }
    text_add(&file->name, name);
    if (!open_file(file)) {
        text_add_format(error, "cannot open %s/%s for writing: %s", folder, text_cstr(&file->name), strerror(errno));
        rotating_file_close(file);
        return false;
    }
    return true;
}

static const char *old_name(const struct rotating_file *file, unsigned number, struct text *to)
{
    text_clear(to);
    text_add(to, text_slice(&file->name));
    if (number > 0)
        text_add_format(to, ".%u", number);
    return text_cstr(to);
}

/* Files past the kept ones go (there are some after keep_files was made smaller), the others move up by one. */
static void move_old_files(struct rotating_file *file)
{
    struct text from = { 0 }, to = { 0 };
    unsigned keep = file->keep_files;
    for (unsigned number = keep; number < KEPT_FILES_MAX; number++)
        if (unlinkat(file->folder_fd, old_name(file, number, &from), 0) != 0 && number > keep)
            break;
    for (unsigned number = keep; number > 0; number--)
        renameat(file->folder_fd, old_name(file, number - 1, &from), file->folder_fd, old_name(file, number, &to));
    text_free(&from);
    text_free(&to);
}

static bool make_ready(struct rotating_file *file)
{
    if (file->fd >= 0 && file->rotate_octets && file->size_octets >= file->rotate_octets) {
        close(file->fd);
        file->fd = -1;
        move_old_files(file);
    }
    return file->fd >= 0 || open_file(file);
}

static bool write_pending(struct rotating_file *file)
{
    while (file->pending.len) {
        ssize_t written = write(file->fd, file->pending.ptr, file->pending.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        file->size_octets += (uint64_t)written;
        text_remove_head(&file->pending, (size_t)written);
    }
    return true;
}

bool rotating_file_keep_line(struct rotating_file *file, size_t start)
{
    if (file->pending.len <= PENDING_MAX)
        return true;
    file->pending.len = start;
    file->dropped_lines++;
    return false;
}

enum rotating_file_result rotating_file_flush(struct rotating_file *file, uint64_t now_ms, int *error_number,
                                              uint64_t *dropped_lines)
{
    bool failed_before = file->retry_at_ms != 0;
    if (failed_before && now_ms < file->retry_at_ms && file->retry_at_ms - now_ms <= SECONDS(1))
        return ROTATING_FILE_STILL_FAILED;
    if (file->pending.len == 0 && !failed_before)
        return ROTATING_FILE_OK;
    if (!make_ready(file) || !write_pending(file)) {
        *error_number = errno;
        file->retry_at_ms = now_ms + SECONDS(1);
        return failed_before ? ROTATING_FILE_STILL_FAILED : ROTATING_FILE_FAILED;
    }
    file->retry_at_ms = 0;
    *dropped_lines = file->dropped_lines;
    file->dropped_lines = 0;
    return failed_before ? ROTATING_FILE_WORKS_AGAIN : ROTATING_FILE_OK;
}

void rotating_file_reopen(struct rotating_file *file)
{
    struct stat ours, named;
    if (file->fd >= 0 && fstat(file->fd, &ours) == 0 &&
        fstatat(file->folder_fd, text_cstr(&file->name), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
        return;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1; /* the next flush opens it */
}

void rotating_file_close(struct rotating_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->folder_fd >= 0)
        close(file->folder_fd);
    text_free(&file->name);
    text_free(&file->pending);
    file->fd = file->folder_fd = -1;
}
