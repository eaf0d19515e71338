#include "base/clock.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "spool/journal.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { DRAFT_OCTETS_FIRST = 8 << 10 };

struct spool_draft {
    struct list link;
    struct spool *spool;
    uint64_t id;
    char *octets; /* what is in memory; of a large message: what is not written yet */
    size_t used, capacity;
    uint64_t total;
    int fd; /* of the large file, or -1 */
    uint32_t file_crc;
    bool has_8bit;
    enum spool_result failed;
};

static uint64_t next_id(struct spool *spool)
{
    /* 42 bits of milliseconds since 2020, 6 of loop, 16 of counter; after a step back of the clock it just counts on */
    const uint64_t epoch_ms = 1577836800000;
    uint64_t now = loop_wall_ms(spool->loop), loop_bits = (uint64_t)spool->params.loop_number << 16;
    uint64_t fresh = (now > epoch_ms ? now - epoch_ms : 0) << 22 | loop_bits;
    uint64_t next = spool->last_id + 1;
    if ((next & 0xffff) == 0) /* the counter is used up: the next millisecond's */
        next += ((uint64_t)1 << 22) - 0x10000;
    spool->last_id = fresh > spool->last_id ? fresh : next;
    return spool->last_id;
}

struct spool_draft *spool_begin(struct spool *spool)
{
    assert(loop_is_current(spool->loop));
    struct spool_draft *d = MEMORY_NEW(struct spool_draft);
    d->spool = spool;
    d->id = next_id(spool);
    d->fd = -1;
    list_init(&d->link);
    list_append(&spool->drafts, &d->link);
    return d;
}

uint64_t spool_draft_id(const struct spool_draft *d) { return d->id; }
uint64_t spool_draft_octets(const struct spool_draft *d) { return d->total; }

/* False: over the limit, and nothing can be dropped for it; then nothing is counted. */
static bool count_memory(struct spool *spool, size_t before, size_t after)
{
    spool->memory_octets += after - before;
    spool_content_keep_within_memory(spool);
    spool_content_arm_trim(spool);
    bool is_over = after > before && spool->memory_octets > spool->params.memory_octets;
    if (is_over)
        spool->memory_octets -= after - before;
    return !is_over;
}

static void drop_octets(struct spool_draft *d)
{
    memory_free(d->octets);
    (void)count_memory(d->spool, d->capacity, 0);
    d->octets = NULL;
    d->used = d->capacity = 0;
}

static enum spool_result result_of_write(struct spool *spool, int error)
{
    if (error == 0)
        return SPOOL_OK;
    if (error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE || error == EFBIG)
        return SPOOL_FULL; /* of a file that is dropped as a whole: nothing is broken */
    spool_break(spool, "writing a large message failed", error);
    return SPOOL_BROKEN;
}

static enum spool_result write_out(struct spool_draft *d)
{
    struct iovec part = { d->octets, d->used };
    uint64_t offset = d->total - d->used;
    if (d->used == 0)
        return SPOOL_OK;
    d->file_crc = crc32c(d->file_crc, slice_from(d->octets, d->used));
    d->used = 0;
    return result_of_write(d->spool, disk_write_all(d->spool->disk, d->fd, &part, 1, offset));
}

static enum spool_result open_file(struct spool_draft *d)
{
    struct disk *disk = d->spool->disk;
    char name[NAME_OCTETS];
    snprintf(name, sizeof(name), LARGE_NAME_FORMAT, d->id);
    d->fd = disk->open(disk, d->spool->large_folder, name, O_WRONLY | O_CREAT | O_EXCL);
    return d->fd < 0 ? result_of_write(d->spool, errno) : write_out(d);
}

/* Room for `octets` more, doubling: the content of a usual message stays one piece for the delivery. */
static bool reserve(struct spool_draft *d, size_t octets)
{
    struct spool *spool = d->spool;
    if (d->capacity - d->used >= octets)
        return true;
    size_t wanted = size_max(size_max(d->capacity * 2, DRAFT_OCTETS_FIRST), d->used + octets);
    if (d->fd >= 0)
        wanted = size_max(d->used + octets, LARGE_FILE_CHUNK);
    if (!count_memory(spool, d->capacity, wanted))
        return false;
    d->octets = memory_resize(d->octets, wanted);
    d->capacity = wanted;
    return true;
}

static bool belongs_in_file(const struct spool_draft *d, size_t more)
{
    const struct spool *spool = d->spool;
    uint64_t limit = spool->large_octets;
    if (spool->memory_octets - spool->resident_octets > spool->params.memory_octets / 2 && limit > SPILL_OCTETS)
        limit = SPILL_OCTETS;
    return d->total + more > limit;
}

static enum spool_result append_piece(struct spool_draft *d, slice piece)
{
    if (d->fd < 0 && belongs_in_file(d, piece.len)) {
        enum spool_result result = open_file(d);
        if (result != SPOOL_OK)
            return result;
    }
    if (!reserve(d, piece.len))
        return SPOOL_FULL;
    memcpy(d->octets + d->used, piece.ptr, piece.len);
    d->used += piece.len;
    d->total += piece.len;
    return d->fd >= 0 && d->used >= LARGE_FILE_CHUNK ? write_out(d) : SPOOL_OK;
}

enum spool_result spool_append(struct spool_draft *d, slice content)
{
    assert(loop_is_current(d->spool->loop));
    if (d->failed == SPOOL_OK && d->spool->is_broken)
        d->failed = SPOOL_BROKEN;
    if (!d->has_8bit)
        d->has_8bit = !slice_is_ascii(content);
    while (d->failed == SPOOL_OK && content.len > 0) {
        slice piece = slice_head(content, LARGE_FILE_CHUNK); /* what comes at once does not decide on the memory */
        d->failed = append_piece(d, piece);
        content = slice_tail(content, piece.len);
    }
    if (d->failed != SPOOL_OK)
        drop_octets(d); /* the client may take its time to end what will be refused */
    return d->failed;
}

/* ending ------------------------------------------------------------------------------------------------------ */

static void free_draft(struct spool_draft *d)
{
    list_remove(&d->link);
    drop_octets(d);
    if (d->fd >= 0)
        d->spool->disk->close(d->spool->disk, d->fd);
    memory_free(d);
}

void spool_abandon(struct spool_draft *d)
{
    assert(loop_is_current(d->spool->loop));
    struct spool *spool = d->spool;
    if (d->fd >= 0) {
        spool_large_remove_later(spool, d->id, 0);
        spool_large_remove_due(spool);
    }
    free_draft(d);
}

void spool_drafts_free(struct spool *spool)
{
    while (!list_is_empty(&spool->drafts))
        spool_abandon(LIST_ITEM(spool->drafts.next, struct spool_draft, link));
}

/* The answer to a commit that does not get as far as a group. */
struct refusal {
    enum spool_result result;
    spool_done *done;
    void *context;
};

static void on_refusal(void *context)
{
    struct refusal *r = context;
    r->done(r->context, r->result, NULL);
    memory_free(r);
}

static void refuse(struct spool *spool, enum spool_result result, spool_done *done, void *context)
{
    const struct refusal r = { result, done, context };
    loop_post(spool->loop, on_refusal, memory_copy(&r, sizeof(r)));
}

/* A large message's file is durable before its record begins. */
struct large_job {
    struct job job;
    struct entry *entry;
    int fd, error;
    spool_done *done;
    void *context;
};

static void run_large_sync(void *context)
{
    struct large_job *l = context;
    struct spool *spool = l->job.spool;
    struct disk *disk = spool->disk;
    if (disk->sync(disk, l->fd) != 0 || disk->sync_folder(disk, spool->large_folder) != 0)
        l->error = errno;
    disk->close(disk, l->fd);
}

static void on_large_synced(void *context)
{
    struct large_job *l = context;
    struct spool *spool = l->job.spool;
    if (spool->is_closing) {
        entry_free(l->entry); /* never answered: its file is removed at the next start */
        return;
    }
    enum spool_result result = result_of_write(spool, l->error);
    if (spool->is_broken)
        result = SPOOL_BROKEN;
    if (result == SPOOL_OK) {
        group_add_message(spool, l->entry, l->done, l->context);
        return;
    }
    spool->large_live_octets -= l->entry->message.content_octets;
    spool_large_remove_later(spool, l->entry->message.id, 0);
    spool_large_remove_due(spool);
    entry_free(l->entry);
    l->done(l->context, result, NULL);
}

static void commit_large(struct spool_draft *d, struct entry *entry, spool_done *done, void *context)
{
    struct spool *spool = d->spool;
    entry->is_large = entry->large_is_checked = true;
    entry->content_crc = d->file_crc;
    spool->large_live_octets += d->total;
    struct large_job *l = MEMORY_NEW(struct large_job);
    *l = (struct large_job){ .entry = entry, .fd = d->fd, .done = done, .context = context };
    d->fd = -1;
    spool_job_start(spool, &l->job, run_large_sync, on_large_synced);
}

static void commit_small(struct spool_draft *d, struct entry *entry, spool_done *done, void *context)
{
    entry->content = d->octets ? d->octets : memory_new(1);
    entry->content_capacity = d->capacity;
    d->octets = NULL; /* the draft's memory goes over as it is, and stays counted */
    d->used = d->capacity = 0;
    group_add_message(d->spool, entry, done, context);
}

static bool fits_segment(const struct spool *spool, const struct entry *entry)
{
    uint64_t content = entry->is_large ? 0 : entry->message.content_octets;
    return content + entry->envelope_octets_max <= spool->params.segment_octets / 2;
}

void spool_commit(struct spool_draft *d, const struct envelope *envelope, uint32_t header_octets, spool_done *done,
                  void *context)
{
    struct spool *spool = d->spool;
    assert(loop_is_current(spool->loop) && header_octets <= d->total);
    enum spool_result result = spool->is_broken ? SPOOL_BROKEN : d->failed;
    if (result == SPOOL_OK && d->fd >= 0)
        result = write_out(d);
    struct entry *entry = result == SPOOL_OK ? entry_new(d->id, envelope) : NULL;
    if (entry) {
        entry->message.content_octets = d->total;
        entry->message.header_octets = header_octets;
        entry->message.has_8bit = d->has_8bit;
        entry->is_large = d->fd >= 0;
        if (!fits_segment(spool, entry))
            result = SPOOL_FULL;
    }
    if (result != SPOOL_OK) {
        entry_free(entry);
        refuse(spool, result, done, context);
        spool_abandon(d);
        return;
    }
    if (entry->is_large)
        commit_large(d, entry, done, context);
    else
        commit_small(d, entry, done, context);
    free_draft(d);
}

/* files of large messages ------------------------------------------------------------------------------------- */

struct remove_job {
    struct job job;
    size_t count;
    uint64_t ids[];
};

static void run_remove(void *context)
{
    struct remove_job *r = context;
    struct spool *spool = r->job.spool;
    for (size_t i = 0; i < r->count; i++) {
        char name[NAME_OCTETS];
        snprintf(name, sizeof(name), LARGE_NAME_FORMAT, r->ids[i]);
        (void)spool->disk->remove(spool->disk, spool->large_folder, name); /* what stays is removed at the next start */
    }
}

static void on_removed(void *context) { (void)context; }

void spool_large_remove_later(struct spool *spool, uint64_t id, uint64_t group)
{
    if (spool->removal_count == spool->removal_capacity) {
        spool->removal_capacity = size_max(spool->removal_capacity * 2, 16);
        spool->removals = memory_resize(spool->removals, spool->removal_capacity * sizeof(*spool->removals));
    }
    spool->removals[spool->removal_count++] = (struct removal){ group, id };
}

void spool_large_remove_due(struct spool *spool)
{
    size_t kept = 0;
    struct remove_job *r = NULL;
    for (size_t i = 0; i < spool->removal_count; i++) {
        struct removal removal = spool->removals[i];
        if (removal.group > spool->durable_group) {
            spool->removals[kept++] = removal;
            continue;
        }
        if (!r)
            r = memory_new(sizeof(*r) + spool->removal_count * sizeof(r->ids[0]));
        r->ids[r->count++] = removal.id;
    }
    spool->removal_count = kept;
    if (r)
        spool_job_start(spool, &r->job, run_remove, on_removed);
}
