#include "base/clock.h"
#include "base/memory.h"
#include "spool/journal.h"
#include "spool/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { LARGE_SHARE = 4 };

/* ids --------------------------------------------------------------------------------------------------------- */

void text_add_message_id(struct text *to, uint64_t id) { text_add_hex(to, id, 16); }

bool message_id_parse(slice s, uint64_t *id)
{
    uint64_t value = 0;
    if (s.len != 16)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit > 15)
            return false;
        value = value << 4 | digit;
    }
    *id = value;
    return true;
}

/* opening ----------------------------------------------------------------------------------------------------- */

static struct spool *new_spool(struct loop *loop, const struct spool_params *params)
{
    struct spool *spool = MEMORY_NEW(struct spool);
    spool->loop = loop;
    spool->params = *params;
    spool->dir = memory_copy_cstr(params->dir, strlen(params->dir));
    spool->params.dir = spool->dir;
    spool->params.segment_octets &= ~(uint64_t)(SEGMENT_HEADER_OCTETS - 1);
    if (spool->params.segment_octets < SEGMENT_OCTETS_MIN)
        spool->params.segment_octets = SEGMENT_OCTETS_MIN;
    if (spool->params.segment_octets > UINT32_MAX / 2)
        spool->params.segment_octets = (UINT32_MAX / 2) & ~(uint64_t)(SEGMENT_HEADER_OCTETS - 1);
    uint64_t largest = spool->params.segment_octets / LARGE_SHARE;
    spool->large_octets = params->large_octets < largest ? params->large_octets : largest;
    spool->disk = params->disk ? params->disk : disk_real();
    spool->folder = spool->large_folder = spool->lock = -1;
    spool->next_number = 1;
    spool->next_group = 1;
    list_init(&spool->segments);
    list_init(&spool->waiting);
    list_init(&spool->flying);
    list_init(&spool->idle_groups);
    list_init(&spool->drafts);
    list_init(&spool->jobs);
    list_init(&spool->resident);
    return spool;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void free_spool(struct spool *spool)
{
    size_t position = 0;
    for (struct entry *entry; (entry = id_map_next(&spool->index, &position));) {
        if (entry->large_fd >= 0)
            spool->disk->close(spool->disk, entry->large_fd);
        while (entry->waiters) {
            struct load_waiter *waiter = entry->waiters;
            entry->waiters = waiter->next;
            memory_free(waiter);
        }
        entry_free(entry);
    }
    id_map_free(&spool->index);
    struct list *node;
    while ((node = list_take_first(&spool->segments)))
        segment_free(spool, LIST_ITEM(node, struct segment, link));
    segment_free(spool, spool->next);
    groups_free(spool);
    memory_free(spool->removals);
    text_free(&spool->trouble);
    text_free(&spool->report);
    close_if_open(spool->large_folder);
    close_if_open(spool->folder);
    close_if_open(spool->lock); /* the very last: from now on another may open it */
    memory_free(spool->dir);
    memory_free(spool);
}

static bool open_folders(struct spool *spool, struct text *error)
{
    spool->folder = spool_open_folder(spool->dir, error);
    if (spool->folder < 0)
        return false;
    spool->lock = spool_lock(spool->folder, spool->dir, error);
    if (spool->lock < 0)
        return false;
    bool is_made = mkdirat(spool->folder, "large", 0700) == 0;
    if (is_made || errno == EEXIST)
        spool->large_folder = openat(spool->folder, "large", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (spool->large_folder >= 0 && (!is_made || spool->disk->sync_folder(spool->disk, spool->folder) == 0))
        return true;
    text_add_format(error, "cannot use the folder %s/large: %s", spool->dir, strerror(errno));
    return false;
}

struct spool *spool_open(struct loop *loop, const struct spool_params *params, struct text *error)
{
    assert(loop_is_current(loop) && params->loop_number < 64);
    struct spool *spool = new_spool(loop, params);
    if (!open_folders(spool, error) || !spool_recover(spool, error)) {
        free_spool(spool);
        return NULL;
    }
    if (spool->next)
        segment_activate_next(spool);
    segments_retire(spool);
    spool->turn_end = (struct loop_hook){ .function = groups_turn_end, .context = spool };
    loop_add_turn_end(loop, &spool->turn_end);
    return spool;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    assert(loop_is_current(spool->loop));
    spool_drafts_free(spool);
    spool->is_closing = true;
    loop_remove_hook(spool->loop, &spool->turn_end);
    spool_jobs_abandon(spool);
    groups_drain(spool);
    struct timer *timers[] = { &spool->allocation_timer, &spool->write_timer, &spool->start_timer,
                               &spool->sync_timer,       &spool->trim_timer,  &spool->state_timer };
    for (size_t i = 0; i < COUNT(timers); i++)
        timer_clear(spool->loop, timers[i]);
    free_spool(spool);
}

/* asking ------------------------------------------------------------------------------------------------------ */

struct spool_message *spool_find(struct spool *spool, uint64_t id)
{
    struct entry *entry = id_map_get(&spool->index, id);
    return entry ? &entry->message : NULL;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void spool_each(struct spool *spool, void (*visit)(void *context, struct spool_message *), void *context)
{
    /* by id, and each looked up again: the visitor may finish messages */
    size_t count = 0, position = 0;
    uint64_t *ids = memory_new(spool->index.count * sizeof(*ids));
    for (struct entry *entry; (entry = id_map_next(&spool->index, &position));)
        ids[count++] = entry->message.id;
    qsort(ids, count, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < count; i++) {
        struct spool_message *m = spool_find(spool, ids[i]);
        if (m)
            visit(context, m);
    }
    memory_free(ids);
}

size_t spool_count(const struct spool *spool) { return spool->index.count; }
bool spool_is_broken(const struct spool *spool) { return spool->is_broken; }
const char *spool_trouble(struct spool *spool) { return spool->is_broken ? text_cstr(&spool->trouble) : ""; }

static void look_at_disk(struct spool *spool)
{
    uint64_t now = loop_now_ms(spool->loop);
    struct statvfs disk;
    if (spool->room_is_known && now - spool->room_checked_ms < ROOM_CHECK_MS)
        return;
    if (fstatvfs(spool->folder, &disk) == 0)
        spool->free_octets = (uint64_t)disk.f_bavail * disk.f_frsize;
    spool->room_checked_ms = now;
    spool->room_is_known = true;
}

static enum spool_result disk_state(struct spool *spool, uint64_t octets)
{
    uint64_t wanted;
    if (spool->is_broken)
        return SPOOL_BROKEN;
    look_at_disk(spool);
    if (ADD_OVERFLOWS(spool->params.reserve_octets, octets, &wanted) || spool->free_octets < wanted)
        return SPOOL_FULL;
    return spool->allocation_failed && !spool->next ? SPOOL_FULL : SPOOL_OK;
}

enum spool_result spool_has_room(struct spool *spool, uint64_t octets)
{
    assert(loop_is_current(spool->loop));
    if (disk_state(spool, 0) != spool->told)
        spool_look_at_state(spool);
    enum spool_result result = disk_state(spool, octets);
    /* what can be dropped does not count: it makes way */
    bool memory_is_short = spool->memory_octets - spool->resident_octets >= spool->params.memory_octets;
    return result == SPOOL_OK && memory_is_short ? SPOOL_FULL : result;
}

static void describe_state(struct spool *spool, struct text *to)
{
    if (spool->told == SPOOL_BROKEN) {
        text_add(to, text_slice(&spool->trouble));
    } else if (spool->told == SPOOL_FULL) {
        text_add_size(to, spool->free_octets);
        text_add_format(to, " free on the disk of %s, of which ", spool->dir);
        text_add_size(to, spool->params.reserve_octets);
        text_add_cstr(to, " are to stay free");
        if (spool->allocation_failed)
            text_add_cstr(to, "; a journal segment of ");
        if (spool->allocation_failed)
            text_add_size(to, spool->params.segment_octets);
        if (spool->allocation_failed)
            text_add_cstr(to, " does not fit");
    }
}

static void on_state_due(void *context)
{
    struct spool *spool = context;
    enum spool_result state = disk_state(spool, 0);
    if (state == SPOOL_FULL)
        timer_set(spool->loop, &spool->state_timer, ROOM_CHECK_MS, on_state_due, spool);
    if (state == spool->told)
        return;
    spool->told = state;
    struct text text = { 0 };
    describe_state(spool, &text);
    if (spool->state_changed)
        spool->state_changed(spool->state_context, state, text_slice(&text));
    text_free(&text);
}

void spool_look_at_state(struct spool *spool)
{
    if (!spool->is_closing)
        timer_set(spool->loop, &spool->state_timer, 0, on_state_due, spool);
}

void spool_on_state(struct spool *spool, void (*changed)(void *context, enum spool_result state, slice text),
                    void *context)
{
    assert(loop_is_current(spool->loop));
    spool->state_changed = changed;
    spool->state_context = context;
    spool_look_at_state(spool);
}

void spool_get_statistics(const struct spool *spool, struct spool_statistics *to)
{
    *to = (struct spool_statistics){
        .messages = spool->index.count,
        .live_octets = spool->live_octets + spool->large_live_octets,
        .segments = spool->segment_count,
        .disk_octets = spool->segments_octets + spool->spare_count * spool->params.segment_octets +
                       (spool->next ? spool->next->octets : 0) + spool->large_live_octets,
        .groups = spool->groups,
        .syncs = spool->syncs,
        .memory_octets = spool->memory_octets,
    };
}

void spool_get_recovery(const struct spool *spool, struct spool_recovery *to) { *to = spool->recovery; }
