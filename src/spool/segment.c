#include "base/memory.h"
#include "base/random.h"
#include "spool/journal.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* jobs -------------------------------------------------------------------------------------------------------- */

static void run_job(void *context)
{
    struct job *job = context;
    job->run(job);
    atomic_store(&job->has_run, true);
}

static void on_job_done(void *context)
{
    struct job *job = context;
    if (job->is_detached)
        return; /* the loop frees it */
    list_remove(&job->link);
    job->done(job);
    memory_free(job);
}

void spool_jobs_abandon(struct spool *spool)
{
    const struct timespec moment = { .tv_nsec = 200 * 1000 };
    struct list *node;
    while ((node = list_take_first(&spool->jobs))) {
        struct job *job = LIST_ITEM(node, struct job, link);
        while (!atomic_load(&job->has_run))
            nanosleep(&moment, NULL);
        job->done(job);
        job->is_detached = true;
        loop_own(spool->loop, job);
    }
}

void spool_job_start(struct spool *spool, struct job *job, loop_function *run, loop_function *done)
{
    assert(!spool->is_closing);
    job->spool = spool;
    job->run = run;
    job->done = done;
    atomic_init(&job->has_run, false);
    list_init(&job->link);
    list_append(&spool->jobs, &job->link);
    work_run(spool->loop, WORK_DISK, run_job, on_job_done, job);
}

/* segments ---------------------------------------------------------------------------------------------------- */

struct segment *segment_new(uint64_t number, uint64_t salt, uint64_t octets, int fd)
{
    struct segment *s = MEMORY_NEW(struct segment);
    *s = (struct segment){ .number = number, .salt = salt, .octets = octets, .used = SEGMENT_HEADER_OCTETS };
    s->fds[0] = fd;
    for (size_t i = 1; i < FLIGHTS; i++)
        s->fds[i] = -1;
    list_init(&s->link);
    list_init(&s->live);
    return s;
}

static void close_all(struct spool *spool, struct segment *s)
{
    for (size_t i = 0; i < FLIGHTS; i++) {
        if (s->fds[i] >= 0)
            spool->disk->close(spool->disk, s->fds[i]);
        s->fds[i] = -1;
    }
}

void segment_free(struct spool *spool, struct segment *s)
{
    if (!s)
        return;
    close_all(spool, s);
    memory_free(s);
}

void segment_close_if_idle(struct spool *spool, struct segment *s)
{
    if (s->is_sealed && s->groups == 0)
        close_all(spool, s);
}

bool segment_find_flight(struct spool *spool, struct segment *s, size_t *flight)
{
    size_t i = 0;
    while (i < FLIGHTS && s->is_flown[i])
        i++;
    if (i == FLIGHTS)
        return false;
    if (s->fds[i] < 0) {
        char name[NAME_OCTETS];
        snprintf(name, sizeof(name), SEGMENT_NAME_FORMAT, s->number);
        s->fds[i] = spool->disk->open(spool->disk, spool->folder, name, O_RDWR);
    }
    *flight = i;
    return s->fds[i] >= 0;
}

void segment_add_live(struct spool *spool, struct segment *s, struct entry *entry)
{
    entry->segment = s;
    list_append(&s->live, &entry->in_segment);
    s->live_count++;
    s->live_octets += entry->record_octets;
    spool->live_octets += entry->record_octets;
}

void segment_remove_live(struct spool *spool, struct entry *entry, uint64_t death_group)
{
    struct segment *s = entry->segment;
    list_remove(&entry->in_segment);
    s->live_count--;
    s->live_octets -= entry->record_octets;
    spool->live_octets -= entry->record_octets;
    if (s->last_death < death_group)
        s->last_death = death_group;
    entry->segment = NULL;
}

void segment_activate_next(struct spool *spool)
{
    if (spool->current)
        segment_close_if_idle(spool, spool->current);
    spool->current = spool->next;
    spool->next = NULL;
    list_append(&spool->segments, &spool->current->link);
    spool->segment_count++;
    spool->segments_octets += spool->current->octets;
    segments_prepare(spool);
}

/* preparing --------------------------------------------------------------------------------------------------- */

/*
 * The next segment gets ready while the current one fills: a finished one is reused (its blocks are written already,
 * so a sync writes data only), or a new file is allocated and filled with zeros piece by piece. Then: header, sync,
 * the final name, sync of the folder. A file with a segment's name is therefore always whole.
 */
struct prepare {
    struct job job;
    struct segment_header header;
    char spare[NAME_OCTETS];
    bool is_reused, is_open, needs_zeros, is_sparse;
    uint64_t zeroed;
    int fd, error;
    bool is_ready;
};

static const char zeros[64 << 10];

static int write_zeros(struct disk *disk, int fd, uint64_t offset, uint64_t octets)
{
    struct iovec parts[ZERO_CHUNK / sizeof(zeros)];
    size_t count = 0;
    for (; octets > 0 && count < COUNT(parts); octets -= parts[count++].iov_len)
        parts[count] = (struct iovec){ (void *)(uintptr_t)zeros, size_min(octets, sizeof(zeros)) };
    int error = disk_write_all(disk, fd, parts, count, offset);
    if (!error && disk->sync(disk, fd) != 0)
        error = errno;
    return error;
}

static int open_spare(struct spool *spool, struct prepare *p)
{
    struct disk *disk = spool->disk;
    p->fd = disk->open(disk, spool->folder, p->spare, O_RDWR | (p->is_reused ? 0 : O_CREAT | O_EXCL));
    if (p->fd < 0)
        return errno;
    p->is_open = true;
    if (p->is_reused)
        return 0;
    p->needs_zeros = true;
    if (disk->allocate(disk, p->fd, p->header.octets) == 0)
        return 0;
    p->is_sparse = errno == EOPNOTSUPP || errno == ENOSYS; /* then zeros are what reserves the room */
    return p->is_sparse ? 0 : errno;
}

static int finish_prepare(struct spool *spool, struct prepare *p)
{
    struct disk *disk = spool->disk;
    char block[SEGMENT_HEADER_OCTETS] = { 0 }, name[NAME_OCTETS];
    segment_header_encode(block, &p->header);
    struct iovec part = { block, sizeof(block) };
    int error = disk_write_all(disk, p->fd, &part, 1, 0);
    if (!error && disk->sync(disk, p->fd) != 0)
        error = errno;
    snprintf(name, sizeof(name), SEGMENT_NAME_FORMAT, p->header.number);
    if (!error && disk->rename(disk, spool->folder, p->spare, name) != 0)
        error = errno;
    if (!error && disk->sync_folder(disk, spool->folder) != 0)
        error = errno;
    p->is_ready = !error;
    return error;
}

/* One step: open and allocate, one piece of zeros, or the end. */
static void run_prepare(void *context)
{
    struct prepare *p = context;
    struct spool *spool = p->job.spool;
    if (!p->is_open) {
        p->error = open_spare(spool, p);
    } else if (p->needs_zeros && p->zeroed < p->header.octets) {
        uint64_t piece = p->header.octets - p->zeroed;
        piece = piece < ZERO_CHUNK ? piece : ZERO_CHUNK;
        p->error = write_zeros(spool->disk, p->fd, p->zeroed, piece);
        p->zeroed += piece;
    } else {
        p->error = finish_prepare(spool, p);
    }
}

static struct prepare *new_prepare(struct spool *spool, uint64_t octets)
{
    struct prepare *p = MEMORY_NEW(struct prepare);
    p->fd = -1;
    p->header = (struct segment_header){
        .version = SEGMENT_VERSION,
        .loop = spool->params.loop_number,
        .number = spool->next_number++,
        .salt = random_u64(),
        .octets = octets,
        .last_id = spool->last_id,
        .created_ms = loop_wall_ms(spool->loop),
    };
    p->is_reused = spool->spare_count > 0 && octets == spool->params.segment_octets;
    uint64_t spare = p->is_reused ? spool->spares[--spool->spare_count] : p->header.number;
    snprintf(p->spare, sizeof(p->spare), SPARE_NAME_FORMAT, spare);
    return p;
}

static bool is_lack_of_room(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE || error == EFBIG;
}

static void on_prepare_step(void *context);

static void on_retry_allocation(void *spool) { segments_prepare(spool); }

static void clean_up_prepare(struct spool *spool, const struct prepare *p)
{
    struct disk *disk = spool->disk;
    uint64_t number;
    if (p->fd >= 0)
        disk->close(disk, p->fd);
    if (!p->is_reused && p->is_open)
        (void)disk->remove(disk, spool->folder, p->spare); /* what is left of it is removed at the next start */
    if (p->is_reused && spool->spare_count < SPARES_MAX && sscanf(p->spare, "%" SCNx64, &number) == 1)
        spool->spares[spool->spare_count++] = number;
}

/* The next size to try when one does not fit: better a small segment than mail that cannot leave. 0: none. */
static uint64_t smaller(const struct prepare *p)
{
    return is_lack_of_room(p->error) && p->header.octets / 2 >= SHRUNK_OCTETS_MIN ? p->header.octets / 2 : 0;
}

static void start_step(struct spool *spool, struct prepare *p);

static void give_up_prepare(struct spool *spool, struct prepare *p)
{
    clean_up_prepare(spool, p);
    if (smaller(p)) {
        start_step(spool, new_prepare(spool, smaller(p)));
        return;
    }
    if (!is_lack_of_room(p->error)) {
        spool_break(spool, "making a journal segment failed", p->error);
        groups_turn_end(spool);
        return;
    }
    spool->allocation_failed = true;
    spool_look_at_state(spool);
    timer_set(spool->loop, &spool->allocation_timer, RETRY_ALLOCATION_MS, on_retry_allocation, spool);
    groups_start(spool);
}

static void adopt_prepared(struct spool *spool, const struct prepare *p)
{
    spool->next = segment_new(p->header.number, p->header.salt, p->header.octets, p->fd);
    spool->allocation_failed = false;
    timer_clear(spool->loop, &spool->allocation_timer);
}

/* A group that waits for the segment would rather sync a little slower than wait for all the zeros. */
static bool zeros_can_wait(const struct spool *spool, const struct prepare *p)
{
    return !p->is_sparse && !list_is_empty(&spool->waiting);
}

static void start_step(struct spool *spool, struct prepare *p)
{
    if (p->is_open && zeros_can_wait(spool, p))
        p->needs_zeros = false;
    spool->preparing = p;
    spool_job_start(spool, &p->job, run_prepare, on_prepare_step);
}

static void on_prepare_step(void *context)
{
    struct prepare *p = context;
    struct spool *spool = p->job.spool;
    spool->preparing = NULL;
    if (spool->is_closing) {
        if (p->fd >= 0)
            spool->disk->close(spool->disk, p->fd);
        return;
    }
    if (p->error) {
        give_up_prepare(spool, p);
    } else if (p->is_ready) {
        adopt_prepared(spool, p);
        groups_turn_end(spool);
    } else {
        struct prepare *more = MEMORY_NEW(struct prepare); /* the job's memory ends with its step */
        *more = *p;
        start_step(spool, more);
    }
}

void segments_prepare(struct spool *spool)
{
    if (spool->next || spool->preparing || spool->is_broken || spool->is_closing ||
        timer_is_set(&spool->allocation_timer))
        return;
    start_step(spool, new_prepare(spool, spool->params.segment_octets));
}

static bool prepare_now(struct spool *spool, struct prepare *p)
{
    p->job.spool = spool;
    while (!p->error && !p->is_ready) {
        if (p->zeroed >= ZERO_AT_OPEN && !p->is_sparse)
            p->needs_zeros = false;
        run_prepare(p);
    }
    if (p->is_ready)
        adopt_prepared(spool, p);
    else
        clean_up_prepare(spool, p);
    return p->is_ready;
}

int segment_prepare_now(struct spool *spool)
{
    int error = 0;
    for (uint64_t octets = spool->params.segment_octets; octets > 0;) {
        struct prepare *p = new_prepare(spool, octets);
        error = prepare_now(spool, p) ? 0 : p->error;
        octets = error ? smaller(p) : 0;
        memory_free(p);
    }
    if (!is_lack_of_room(error) || spool->is_closing)
        return error;
    spool->allocation_failed = true;
    timer_set(spool->loop, &spool->allocation_timer, RETRY_ALLOCATION_MS, on_retry_allocation, spool);
    return 0;
}

/* retiring ---------------------------------------------------------------------------------------------------- */

/*
 * Only ever the oldest segment goes, and its going is durable before the next one's begins: an outcome never stands in
 * an older segment than its message, so whatever outcome is lost with a segment, its message is lost (finished) too.
 */
struct retire {
    struct job job;
    uint64_t number;
    bool keep;
    int error;
};

static void run_retire(void *context)
{
    struct retire *r = context;
    struct spool *spool = r->job.spool;
    struct disk *disk = spool->disk;
    char name[NAME_OCTETS], spare[NAME_OCTETS];
    snprintf(name, sizeof(name), SEGMENT_NAME_FORMAT, r->number);
    snprintf(spare, sizeof(spare), SPARE_NAME_FORMAT, r->number);
    int result = r->keep ? disk->rename(disk, spool->folder, name, spare) : disk->remove(disk, spool->folder, name);
    if (result == 0)
        result = disk->sync_folder(disk, spool->folder);
    r->error = result == 0 ? 0 : errno;
}

static void on_retired(void *context)
{
    struct retire *r = context;
    struct spool *spool = r->job.spool;
    spool->retiring = NULL;
    if (spool->is_closing)
        return;
    if (r->error) {
        spool_break(spool, "removing a finished journal segment failed", r->error);
        groups_turn_end(spool);
        return;
    }
    if (r->keep && spool->spare_count < SPARES_MAX)
        spool->spares[spool->spare_count++] = r->number;
    if (spool->allocation_failed) {
        timer_clear(spool->loop, &spool->allocation_timer);
        segments_prepare(spool);
    }
    segments_retire(spool);
    spool_compact(spool);
}

static bool is_finished(const struct spool *spool, const struct segment *s)
{
    return s != spool->current && s->live_count == 0 && s->readers == 0 && s->groups == 0 &&
           s->last_death <= spool->durable_group;
}

void segments_retire(struct spool *spool)
{
    if (spool->retiring || spool->is_broken || list_is_empty(&spool->segments))
        return;
    struct segment *oldest = LIST_ITEM(spool->segments.next, struct segment, link);
    if (!is_finished(spool, oldest))
        return;
    struct retire *r = MEMORY_NEW(struct retire);
    r->number = oldest->number;
    r->keep = spool->spare_count < SPARES_MAX && oldest->octets == spool->params.segment_octets;
    list_remove(&oldest->link);
    spool->segment_count--;
    spool->segments_octets -= oldest->octets;
    segment_free(spool, oldest);
    spool->retiring = r;
    spool_job_start(spool, &r->job, run_retire, on_retired);
}
