#include "spool/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int real_open(struct disk *disk, int folder, const char *name, int flags)
{
    (void)disk;
    return openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int real_close(struct disk *disk, int fd)
{
    (void)disk;
    return close(fd);
}

static int real_allocate(struct disk *disk, int fd, uint64_t octets)
{
    (void)disk;
    return fallocate(fd, 0, 0, (off_t)octets);
}

static ssize_t real_write(struct disk *disk, int fd, const struct iovec *parts, int count, uint64_t offset)
{
    (void)disk;
    return pwritev(fd, parts, count, (off_t)offset);
}

static ssize_t real_read(struct disk *disk, int fd, void *to, size_t octets, uint64_t offset)
{
    (void)disk;
    return pread(fd, to, octets, (off_t)offset);
}

static int real_sync(struct disk *disk, int fd)
{
    (void)disk;
    return fdatasync(fd);
}

static int real_sync_folder(struct disk *disk, int fd)
{
    (void)disk;
    return fsync(fd);
}

static int real_rename(struct disk *disk, int folder, const char *from, const char *to)
{
    (void)disk;
    return renameat(folder, from, folder, to);
}

static int real_remove(struct disk *disk, int folder, const char *name)
{
    (void)disk;
    return unlinkat(folder, name, 0);
}

struct disk *disk_real(void)
{
    static struct disk real = {
        .open = real_open,
        .close = real_close,
        .allocate = real_allocate,
        .write = real_write,
        .read = real_read,
        .sync = real_sync,
        .sync_folder = real_sync_folder,
        .rename = real_rename,
        .remove = real_remove,
    };
    return &real;
}

/* Takes `written` octets off the front of the parts. */
static void advance(struct iovec **parts, size_t *count, size_t written)
{
    while (*count > 0 && written >= (*parts)->iov_len) {
        written -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + written;
        (*parts)->iov_len -= written;
    }
}

int disk_write_all(struct disk *disk, int fd, struct iovec *parts, size_t count, uint64_t offset)
{
    advance(&parts, &count, 0);
    while (count > 0) {
        ssize_t written = disk->write(disk, fd, parts, (int)size_min(count, IOV_MAX), offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        if (written == 0)
            return EIO; /* never for a file; going on would not end */
        offset += (uint64_t)written;
        advance(&parts, &count, (size_t)written);
    }
    return 0;
}

int disk_read_all(struct disk *disk, int fd, void *to, size_t octets, uint64_t offset, size_t *got)
{
    *got = 0;
    while (*got < octets) {
        ssize_t part = disk->read(disk, fd, (char *)to + *got, octets - *got, offset + *got);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return errno;
        if (part == 0)
            break;
        *got += (size_t)part;
    }
    return 0;
}
