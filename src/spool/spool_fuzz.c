#include "spool/disk.h"
#include "spool/fake_loop.h"
#include "spool/format.h"
#include "spool/spool.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/*
 * Recovery of a segment with any octets. The first octet chooses: the rest is the segment as it is, or (so that the
 * replay is reached in spite of the CRCs) a list of records, each: type, length of head payload, length of content, the
 * octets.
 */
enum { SEGMENT_OCTETS = 256 << 10, SALT = 0x5a17 };
static struct text segment;
static char dir[64];
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Segment 1 reads as the input; whatever else is written goes nowhere. */
static int fuzz_open(struct disk *disk, int folder, const char *name, int flags)
{
    return disk_real()->open(disk, folder, name, flags & O_CREAT ? O_RDWR | O_CREAT : flags);
}

static int fuzz_nothing(struct disk *disk, int fd)
{
    (void)disk;
    (void)fd;
    return 0;
}

static int fuzz_allocate(struct disk *disk, int fd, uint64_t octets)
{
    (void)octets;
    return fuzz_nothing(disk, fd);
}

static ssize_t fuzz_write(struct disk *disk, int fd, const struct iovec *parts, int count, uint64_t offset)
{
    (void)disk;
    (void)fd;
    (void)offset;
    size_t octets = 0;
    for (int i = 0; i < count; i++)
        octets += parts[i].iov_len;
    return (ssize_t)octets;
}

static ssize_t fuzz_read(struct disk *disk, int fd, void *to, size_t octets, uint64_t offset)
{
    (void)disk;
    (void)fd;
    slice part = slice_head(slice_tail(text_slice(&segment), offset), octets);
    if (part.len)
        memcpy(to, part.ptr, part.len);
    return (ssize_t)part.len;
}

static int fuzz_rename(struct disk *disk, int folder, const char *from, const char *to)
{
    (void)to;
    return disk_real()->remove(disk, folder, from);
}

static int fuzz_remove(struct disk *disk, int folder, const char *name)
{
    (void)disk;
    (void)folder;
    (void)name;
    return 0;
}

static struct disk fuzz_disk = {
    .open = fuzz_open,
    .close = NULL,
    .allocate = fuzz_allocate,
    .write = fuzz_write,
    .read = fuzz_read,
    .sync = fuzz_nothing,
    .sync_folder = fuzz_nothing,
    .rename = fuzz_rename,
    .remove = fuzz_remove,
};

/* As large as what is in it: the search for records in the rest would only take time. */
static void set_header(void)
{
    const struct segment_header h = {
        .version = SEGMENT_VERSION, .number = 1, .salt = SALT, .octets = segment.len + 256
    };
    segment_header_encode(segment.ptr, &h);
}

static void add_record(slice head_payload, slice content, enum record_type type, uint64_t sequence)
{
    char header[RECORD_HEADER_OCTETS];
    size_t start = segment.len, padding = -(head_payload.len + content.len) % RECORD_ALIGN;
    record_header_encode(
        header, &(struct record_header){ .type = type,
                                         .salt = SALT,
                                         .sequence = sequence,
                                         .payload_octets = (uint32_t)(head_payload.len + padding + content.len),
                                         .content_octets = (uint32_t)content.len });
    text_add(&segment, slice_from(header, sizeof(header)));
    text_add(&segment, head_payload);
    for (size_t i = 0; i < padding; i++)
        text_add_byte(&segment, 0);
    record_set_crc(segment.ptr + start, record_crc(slice_from(segment.ptr + start, segment.len - start)));
    text_add(&segment, content);
}

static void add_records(slice input)
{
    for (uint64_t sequence = 1; input.len >= 4 && segment.len < SEGMENT_OCTETS / 2; sequence++) {
        const unsigned char *octets = (const unsigned char *)input.ptr;
        enum record_type type = (enum record_type)(octets[0] % RECORD_TYPES);
        size_t head = octets[1], content = octets[2] + 256u * (octets[3] & 3);
        input = slice_tail(input, 4);
        slice head_payload = slice_head(input, head);
        input = slice_tail(input, head);
        add_record(head_payload, slice_head(input, content), type, sequence);
        input = slice_tail(input, content);
    }
}

static void delay_all(void *context, struct spool_message *m)
{
    static const struct outcome later = { .action = ACTION_DELAYED, .text = LIT("later") };
    for (size_t i = 0; i < m->envelope->recipient_count; i++)
        if (!m->recipients[i].is_final)
            spool_record(context, m, i, &later, 1);
}

/* One empty file, for the names: what it holds comes from fuzz_read. */
static void make_folder(void)
{
    char path[96];
    snprintf(dir, sizeof(dir), "/dev/shm/spool-fuzz-%ld", (long)getpid());
    snprintf(path, sizeof(path), "%s/%016x.journal", dir, 1);
    int fd = mkdir(dir, 0700) == 0 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || close(fd) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = slice_from((const char *)data, size);
    if (size == 0)
        return 0;
    if (!dir[0])
        make_folder();
    fuzz_disk.close = disk_real()->close;
    text_clear(&segment);
    memset(text_reserve(&segment, SEGMENT_HEADER_OCTETS), 0, SEGMENT_HEADER_OCTETS);
    segment.len = SEGMENT_HEADER_OCTETS;
    if (data[0] & 1)
        add_records(slice_tail(input, 1));
    else
        text_add(&segment, slice_tail(input, 1));
    set_header();
    const struct spool_params params = { .dir = dir,
                                         .segment_octets = SEGMENT_OCTETS,
                                         .large_octets = 1 << 16,
                                         .memory_octets = 1 << 20,
                                         .disk = &fuzz_disk };
    struct loop *loop = loop_new("fuzz");
    struct text error = { 0 };
    struct spool *spool = spool_open(loop, &params, &error);
    if (spool) {
        spool_each(spool, delay_all, spool);
        fake_run_jobs(loop);
        spool_close(spool);
        fake_settle(loop);
    }
    text_free(&error);
    loop_free(loop);
    return 0;
}
