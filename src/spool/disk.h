#pragma once
#include "base/slice.h"
#include <sys/uio.h>
/*
 * disk - the seam below the journal: every call that changes or reads a file of the spool goes through here, so that
 * tests can fail, tear or lose any of them.
 *
 * Errors:  as the system calls: -1 and errno. Names are relative to a folder's descriptor.
 * Threads: functions are called from the loop and from the disk lane at the same time.
 */
struct disk {
    int (*open)(struct disk *, int folder, const char *name, int flags); /* new files: 0600; always close-on-exec */
    int (*close)(struct disk *, int fd);
    int (*allocate)(struct disk *, int fd, uint64_t octets); /* EOPNOTSUPP where the file system cannot */
    ssize_t (*write)(struct disk *, int fd, const struct iovec *, int count, uint64_t offset);
    ssize_t (*read)(struct disk *, int fd, void *to, size_t octets, uint64_t offset);
    int (*sync)(struct disk *, int fd);        /* the file's octets, and its size if that changed */
    int (*sync_folder)(struct disk *, int fd); /* names made, changed and removed */
    int (*rename)(struct disk *, int folder, const char *from, const char *to);
    int (*remove)(struct disk *, int folder, const char *name);
};
struct disk *disk_real(void);

/* All of it or an error: goes on after short writes and signals. `parts` is used up. 0 or an errno value. */
MUST_CHECK int disk_write_all(struct disk *, int fd, struct iovec *parts, size_t count, uint64_t offset);
/* Fewer than `octets` only at the file's end. 0 or an errno value; *got: how many came. */
MUST_CHECK int disk_read_all(struct disk *, int fd, void *to, size_t octets, uint64_t offset, size_t *got);
