#include "base/crc32c.h"
#include "base/memory.h"
#include "spool/journal.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

enum { TRIM_AFTER_MS = 5000, TRIM_WORTH_OCTETS = 32 << 20 };

/* memory ------------------------------------------------------------------------------------------------------ */

static void on_trim(void *context)
{
    struct spool *spool = context;
    if (spool->memory_octets + TRIM_WORTH_OCTETS / 2 < spool->memory_peak) {
        malloc_trim(0); /* a burst's memory goes back to the machine */
        spool->memory_peak = spool->memory_octets;
    }
}

void spool_content_arm_trim(struct spool *spool)
{
    if (spool->memory_peak < spool->memory_octets)
        spool->memory_peak = spool->memory_octets;
    if (spool->memory_peak - spool->memory_octets > TRIM_WORTH_OCTETS && !timer_is_set(&spool->trim_timer))
        timer_set(spool->loop, &spool->trim_timer, TRIM_AFTER_MS, on_trim, spool);
}

void spool_content_keep(struct spool *spool, struct entry *entry)
{
    if (!list_is_linked(&entry->resident))
        return;
    list_remove(&entry->resident);
    spool->resident_octets -= entry->content_capacity;
}

void spool_content_drop(struct spool *spool, struct entry *entry)
{
    if (!entry->content)
        return;
    spool_content_keep(spool, entry);
    memory_free(entry->content);
    entry->content = NULL;
    spool->memory_octets -= entry->content_capacity;
    entry->content_capacity = 0;
    spool_content_arm_trim(spool);
}

void spool_content_keep_within_memory(struct spool *spool)
{
    while (spool->memory_octets > spool->params.memory_octets && !list_is_empty(&spool->resident))
        spool_content_drop(spool, LIST_ITEM(spool->resident.next, struct entry, resident));
}

static bool is_in_use(const struct entry *entry) { return entry->loads > 0 || entry->writing > 0 || entry->is_reading; }

void spool_content_settle(struct spool *spool, struct entry *entry)
{
    if (is_in_use(entry))
        return;
    if (entry->large_fd >= 0) {
        spool->disk->close(spool->disk, entry->large_fd);
        entry->large_fd = -1;
    }
    if (entry->is_finished) {
        spool_content_drop(spool, entry);
        entry_free(entry);
        return;
    }
    if (!entry->content)
        return;
    if (entry->untried == 0) { /* what was not delivered at the first attempt waits on the disk */
        spool_content_drop(spool, entry);
        return;
    }
    if (!list_is_linked(&entry->resident)) {
        list_append(&spool->resident, &entry->resident);
        spool->resident_octets += entry->content_capacity;
    }
    spool_content_keep_within_memory(spool);
}

/* reading ----------------------------------------------------------------------------------------------------- */

struct read_job {
    struct job job;
    struct entry *entry;
    struct segment *segment;
    uint64_t number, salt, offset, id;
    uint32_t record_octets, content_octets, content_crc;
    char *content;
    bool is_large;
    uint64_t large_octets;
    enum spool_result result;
};

static bool is_the_record(const struct read_job *r, const char *head, size_t head_octets)
{
    struct record_header header;
    struct message_facts facts;
    return record_header_decode(head, r->salt, &header) && header.type == RECORD_MESSAGE &&
           header.content_octets == r->content_octets &&
           header.payload_octets + RECORD_HEADER_OCTETS == r->record_octets &&
           header.crc == record_crc(slice_from(head, head_octets)) &&
           message_facts_decode(slice_from(head + RECORD_HEADER_OCTETS, head_octets - RECORD_HEADER_OCTETS), &facts) &&
           facts.id == r->id;
}

static enum spool_result read_record(struct read_job *r, struct disk *disk, int fd)
{
    size_t head_octets = r->record_octets - r->content_octets, got;
    char *head = memory_resize(NULL, head_octets);
    r->content = memory_resize(NULL, r->content_octets);
    bool is_whole = disk_read_all(disk, fd, head, head_octets, r->offset, &got) == 0 && got == head_octets &&
                    is_the_record(r, head, head_octets) &&
                    disk_read_all(disk, fd, r->content, r->content_octets, r->offset + head_octets, &got) == 0 &&
                    got == r->content_octets && crc32c(0, slice_from(r->content, got)) == r->content_crc;
    memory_free(head);
    return is_whole ? SPOOL_OK : SPOOL_DAMAGED;
}

static enum spool_result check_large(const struct read_job *r, struct disk *disk, int fd)
{
    enum { PIECE = 256 << 10 };
    char *piece = memory_resize(NULL, PIECE);
    uint32_t crc = 0;
    uint64_t at = 0;
    size_t got = PIECE;
    int error = 0;
    for (; !error && got == PIECE && at <= r->large_octets; at += got) {
        error = disk_read_all(disk, fd, piece, PIECE, at, &got);
        crc = error ? crc : crc32c(crc, slice_from(piece, got));
    }
    memory_free(piece);
    return !error && at == r->large_octets && crc == r->content_crc ? SPOOL_OK : SPOOL_DAMAGED;
}

static enum spool_result no_file(void)
{
    /* too many open files passes; a file that is gone does not come back */
    return errno == ENOENT || errno == EACCES || errno == EIO ? SPOOL_DAMAGED : SPOOL_FULL;
}

static void run_read(void *context)
{
    struct read_job *r = context;
    struct spool *spool = r->job.spool;
    struct disk *disk = spool->disk;
    char name[NAME_OCTETS];
    if (r->is_large)
        snprintf(name, sizeof(name), LARGE_NAME_FORMAT, r->id);
    else
        snprintf(name, sizeof(name), SEGMENT_NAME_FORMAT, r->number);
    int fd = disk->open(disk, r->is_large ? spool->large_folder : spool->folder, name, O_RDONLY);
    if (fd < 0) {
        r->result = no_file();
        return;
    }
    r->result = r->is_large ? check_large(r, disk, fd) : read_record(r, disk, fd);
    disk->close(disk, fd);
}

/* The octets or the descriptor, when they are at hand. */
static bool fill(struct spool *spool, struct entry *entry, struct spool_content *content)
{
    *content = (struct spool_content){ .fd = -1 };
    if (!entry->is_large) {
        content->octets = slice_from(entry->content, entry->message.content_octets);
        return entry->content != NULL;
    }
    if (!entry->large_is_checked)
        return false;
    if (entry->large_fd < 0) {
        char name[NAME_OCTETS];
        snprintf(name, sizeof(name), LARGE_NAME_FORMAT, entry->message.id);
        entry->large_fd = spool->disk->open(spool->disk, spool->large_folder, name, O_RDONLY);
    }
    content->fd = entry->large_fd;
    content->file_octets = entry->message.content_octets;
    return entry->large_fd >= 0;
}

static void tell_waiters(struct spool *spool, struct entry *entry, enum spool_result result)
{
    struct load_waiter *waiters = entry->waiters;
    entry->waiters = NULL;
    entry->loads++; /* ours: a callback may end the message, or give back the last load of one that has ended */
    for (struct load_waiter *w = waiters; w; w = w->next)
        entry->loads += result == SPOOL_OK; /* all of them before the first callback may release */
    while (waiters) {
        struct load_waiter *w = waiters;
        waiters = w->next;
        struct spool_content content = { .fd = -1 };
        if (result == SPOOL_OK && !fill(spool, entry, &content) && !w->is_mover) {
            entry->loads--;
            w->loaded(w->context, SPOOL_FULL, NULL);
        } else if (w->is_mover) {
            spool_compact_loaded(spool, entry, result == SPOOL_OK);
            entry->loads -= result == SPOOL_OK;
        } else {
            w->loaded(w->context, result, result == SPOOL_OK ? &content : NULL);
        }
        memory_free(w);
    }
    entry->loads--;
    spool_content_settle(spool, entry);
}

static void on_read(void *context)
{
    struct read_job *r = context;
    struct spool *spool = r->job.spool;
    struct entry *entry = r->entry;
    entry->is_reading = false;
    if (r->segment)
        r->segment->readers--;
    if (spool->is_closing) {
        memory_free(r->content);
        return;
    }
    if (r->result != SPOOL_OK) {
        memory_free(r->content);
    } else if (r->is_large) {
        entry->large_is_checked = true;
    } else {
        entry->content = r->content;
        entry->content_capacity = size_max(r->content_octets, 1);
        spool->memory_octets += entry->content_capacity;
    }
    if (r->result == SPOOL_DAMAGED)
        spool->recovery.damaged_messages += !entry->is_damaged;
    entry->is_damaged = entry->is_damaged || r->result == SPOOL_DAMAGED;
    tell_waiters(spool, entry, r->result);
    segments_retire(spool);
}

static void refuse_damaged(void *context)
{
    struct job *job = context;
    (void)job;
}

static void on_refused(void *context)
{
    struct read_job *r = context;
    r->entry->is_reading = false;
    tell_waiters(r->job.spool, r->entry, SPOOL_DAMAGED);
}

static void start_read(struct spool *spool, struct entry *entry)
{
    struct read_job *r = MEMORY_NEW(struct read_job);
    r->entry = entry;
    r->id = entry->message.id;
    r->content_crc = entry->content_crc;
    r->is_large = entry->is_large;
    entry->is_reading = true;
    if (entry->is_damaged) { /* found before; the answer still comes later, as promised */
        spool_job_start(spool, &r->job, refuse_damaged, on_refused);
        return;
    }
    if (entry->is_large) {
        r->large_octets = entry->message.content_octets;
    } else {
        r->segment = entry->segment;
        r->segment->readers++;
        r->number = r->segment->number;
        r->salt = r->segment->salt;
        r->offset = entry->offset;
        r->record_octets = entry->record_octets;
        r->content_octets = (uint32_t)entry->message.content_octets;
    }
    spool_job_start(spool, &r->job, run_read, on_read);
}

static void wait_for_content(struct spool *spool, struct entry *entry, struct load_waiter waiter)
{
    struct load_waiter **last = &entry->waiters;
    while (*last)
        last = &(*last)->next;
    *last = memory_copy(&waiter, sizeof(waiter));
    if (!entry->is_reading)
        start_read(spool, entry);
}

bool spool_load(struct spool *spool, struct spool_message *m, struct spool_content *now, spool_loaded *loaded,
                void *context)
{
    struct entry *entry = entry_of(m);
    assert(loop_is_current(spool->loop) && !entry->is_finished);
    if (!entry->is_damaged && !entry->is_reading && fill(spool, entry, now)) {
        spool_content_keep(spool, entry);
        entry->loads++;
        return true;
    }
    wait_for_content(spool, entry, (struct load_waiter){ .loaded = loaded, .context = context });
    return false;
}

void spool_release(struct spool *spool, struct spool_message *m)
{
    struct entry *entry = entry_of(m);
    assert(loop_is_current(spool->loop) && entry->loads > 0);
    entry->loads--;
    spool_content_settle(spool, entry);
}

void spool_content_load_for_move(struct spool *spool, struct entry *entry)
{
    wait_for_content(spool, entry, (struct load_waiter){ .is_mover = true });
}
