#include "base/crc32c.h"
#include "base/memory.h"
#include "spool/journal.h"
#include <errno.h>
#include <time.h>

/* groups come and go thousands of times a second: a few are kept with their memory */
enum { IDLE_GROUPS_MAX = FLYING_MAX + 2, IDLE_HEADS_MAX = 1 << 20 };
/* Not used by messages while there is no next segment: outcomes can go on for a while on a full disk. */
enum { OUTCOME_RESERVE_SHARE = 32 };

#define GROW(array, count, capacity)                                                                                   \
    do {                                                                                                               \
        if ((count) == (capacity)) {                                                                                   \
            (capacity) = size_max((capacity)*2, 16);                                                                   \
            (array) = memory_resize((array), (capacity) * sizeof(*(array)));                                           \
        }                                                                                                              \
    } while (0)

/* gathering --------------------------------------------------------------------------------------------------- */

static void add_record(struct group *g, size_t head, const char *content, uint32_t content_octets)
{
    GROW(g->records, g->record_count, g->record_capacity);
    uint32_t head_octets = (uint32_t)(g->heads.len - head);
    g->records[g->record_count++] = (struct record){
        .head = head, .head_octets = head_octets, .content = content, .content_octets = content_octets
    };
    g->octets += head_octets + content_octets;
}

/* Padding goes before the content, so that the record ends at a multiple of 8 without a piece of its own. */
static void finish_record(struct group *g, enum record_type type, size_t head, const char *content,
                          uint32_t content_octets)
{
    size_t padding = -(g->heads.len - head + content_octets) % RECORD_ALIGN;
    memset(text_reserve(&g->heads, padding), 0, padding);
    g->heads.len += padding;
    const struct record_header header = {
        .type = type,
        .payload_octets = (uint32_t)(g->heads.len - head - RECORD_HEADER_OCTETS) + content_octets,
        .content_octets = content_octets,
    };
    record_header_encode(g->heads.ptr + head, &header);
    add_record(g, head, content, content_octets);
}

static size_t begin_record(struct group *g)
{
    size_t head = g->heads.len;
    text_reserve(&g->heads, RECORD_HEADER_OCTETS);
    g->heads.len += RECORD_HEADER_OCTETS;
    return head;
}

static void clear_group(struct group *g)
{
    *g = (struct group){
        .heads = { .ptr = g->heads.ptr, .capacity = g->heads.capacity },
        .records = g->records,
        .record_capacity = g->record_capacity,
        .pending = g->pending,
        .pending_capacity = g->pending_capacity,
        .waiters = g->waiters,
        .waiter_capacity = g->waiter_capacity,
    };
    list_init(&g->link);
}

static struct group *new_group(struct spool *spool)
{
    struct list *idle = list_take_first(&spool->idle_groups);
    struct group *g = idle ? LIST_ITEM(idle, struct group, link) : MEMORY_NEW(struct group);
    if (idle)
        spool->idle_count--;
    clear_group(g);
    g->spool = spool;
    g->number = spool->next_group++;
    /* the durable sequence is filled in at the start */
    size_t head = begin_record(g);
    format_add_u64(&g->heads, 0);
    finish_record(g, RECORD_GROUP, head, NULL, 0);
    return g;
}

static void free_group(struct group *g)
{
    text_free(&g->heads);
    memory_free(g->records);
    memory_free(g->pending);
    memory_free(g->waiters);
    memory_free(g);
}

static void put_group_back(struct spool *spool, struct group *g)
{
    if (spool->is_closing && g->is_posted && !g->is_complete) {
        g->spool = NULL; /* the loop's call, if it ever comes, frees it */
        return;
    }
    if (spool->idle_count >= IDLE_GROUPS_MAX || g->heads.capacity > IDLE_HEADS_MAX) {
        free_group(g);
        return;
    }
    list_append(&spool->idle_groups, &g->link);
    spool->idle_count++;
}

/* The timer is not set any more: that is how groups_turn_end knows that a write is due. */
static void on_write_due(void *spool) { groups_turn_end(spool); }

struct group *group_gather(struct spool *spool)
{
    if (spool->gathering && spool->gathering->octets >= GROUP_OCTETS_MAX) {
        list_append(&spool->waiting, &spool->gathering->link);
        spool->gathering = NULL;
    }
    if (!spool->gathering) {
        spool->gathering = new_group(spool);
        /* also the net below a record that comes after our place in the turn's end */
        if (!timer_is_set(&spool->write_timer))
            timer_set(spool->loop, &spool->write_timer, WRITE_WITHIN_MS, on_write_due, spool);
    }
    return spool->gathering;
}

/* A group that nothing is bigger than: one that a segment of `room` octets is too small for waits by itself. */
static struct group *gather_for(struct spool *spool, uint64_t record_octets, bool is_message)
{
    struct group *g = group_gather(spool);
    bool is_full = g->octets + record_octets > spool->params.segment_octets / 4 ||
                   (!is_message && g->small_octets >= SMALL_OCTETS_MAX);
    if (g->record_count > 1 && is_full) {
        list_append(&spool->waiting, &g->link);
        spool->gathering = NULL;
        g = group_gather(spool);
    }
    return g;
}

struct text *group_begin_record(struct spool *spool, size_t *start)
{
    struct group *g = gather_for(spool, OUTCOME_TEXT_MAX * 4, false);
    *start = begin_record(g);
    return &g->heads;
}

void group_end_record(struct spool *spool, enum record_type type, size_t start)
{
    struct group *g = spool->gathering;
    finish_record(g, type, start, NULL, 0);
    g->small_octets += g->heads.len - start;
}

static bool has_states(const struct entry *entry)
{
    const struct spool_message *m = &entry->message;
    if (entry->untried < m->envelope->recipient_count)
        return true;
    for (size_t i = 0; i < m->envelope->recipient_count; i++)
        if (m->recipients[i].next_attempt_ms)
            return true;
    return false;
}

static void add_states(struct text *to, const struct entry *entry, size_t text_max)
{
    for (size_t i = 0; i < entry->message.envelope->recipient_count; i++) {
        const struct spool_recipient *r = &entry->message.recipients[i];
        const struct recipient_state state = { r->attempts, r->next_attempt_ms, r->is_final,
                                               outcome_shortened(&r->last, text_max) };
        state_encode(to, &state);
    }
}

/* A message to very many recipients that all have long replies may outgrow a segment: then the words go first. */
static size_t add_states_within(struct text *to, const struct entry *entry, size_t octets_max)
{
    static const size_t text_max[] = { OUTCOME_TEXT_MAX, 64, 0 };
    size_t start = to->len;
    for (size_t i = 0; i < COUNT(text_max); i++) {
        to->len = start;
        add_states(to, entry, text_max[i]);
        if (to->len - start <= octets_max)
            break;
    }
    return to->len - start;
}

static uint32_t message_flags(const struct entry *entry)
{
    const struct spool_message *m = &entry->message;
    return (m->held ? MESSAGE_HELD : 0u) | (m->has_delay_warning ? MESSAGE_DELAY_WARNING : 0u) |
           (m->has_8bit ? MESSAGE_8BIT : 0u) | (entry->is_large ? MESSAGE_LARGE : 0u) |
           (entry->is_damaged ? MESSAGE_DAMAGED : 0u);
}

void group_add_message(struct spool *spool, struct entry *entry, spool_done *done, void *context)
{
    const struct spool_message *m = &entry->message;
    bool has_content = !entry->is_large && !entry->is_damaged;
    uint32_t content_octets = has_content ? (uint32_t)m->content_octets : 0;
    struct group *g = gather_for(spool, content_octets + entry->envelope_octets_max, true);
    size_t head = begin_record(g), facts_at = g->heads.len;
    text_reserve(&g->heads, MESSAGE_FACTS_OCTETS);
    g->heads.len += MESSAGE_FACTS_OCTETS;
    size_t envelope_at = g->heads.len;
    envelope_encode(&g->heads, m->envelope);
    size_t states_at = g->heads.len;
    if (has_states(entry))
        add_states_within(&g->heads, entry, spool->params.segment_octets / 4);
    const struct message_facts facts = {
        .id = m->id,
        .content_octets = m->content_octets,
        .header_octets = m->header_octets,
        .envelope_octets = (uint32_t)(states_at - envelope_at),
        .states_octets = (uint32_t)(g->heads.len - states_at),
        .flags = message_flags(entry),
        .content_crc = entry->content_crc,
    };
    message_facts_encode(g->heads.ptr + facts_at, &facts);
    finish_record(g, RECORD_MESSAGE, head, has_content ? entry->content : NULL, content_octets);

    GROW(g->pending, g->pending_count, g->pending_capacity);
    g->pending[g->pending_count++] =
        (struct pending){ .entry = entry, .record = g->record_count - 1, .done = done, .context = context };
    entry->writing++;
    g->has_messages = true;
    g->wants_sync = true;
}

void group_add_waiter(struct spool *spool, spool_synced *done, void *context)
{
    struct group *g = group_gather(spool);
    GROW(g->waiters, g->waiter_count, g->waiter_capacity);
    g->waiters[g->waiter_count++] = (struct waiter){ done, context };
    g->wants_sync = true;
}

/* on the lane ------------------------------------------------------------------------------------------------- */

/* The content's CRC is computed here too: the lane reads the octets anyway, and the loop has better to do. */
static void seal_record(struct group *g, struct record *r, uint64_t sequence)
{
    char *head = g->heads.ptr + r->head;
    if (r->content_octets) {
        r->content_crc = crc32c(0, slice_from(r->content, r->content_octets));
        message_set_content_crc(head, r->content_crc);
    }
    record_set_place(head, g->salt, sequence);
    record_set_crc(head, record_crc(slice_from(head, r->head_octets)));
}

static size_t collect_parts(struct group *g, struct iovec *parts)
{
    size_t count = 0;
    uint64_t sequence = g->first_sequence;
    for (size_t i = 0; i < g->record_count; i++) {
        struct record *r = &g->records[i];
        if (r->is_dropped)
            continue;
        seal_record(g, r, sequence++);
        char *head = g->heads.ptr + r->head;
        struct iovec *last = count ? &parts[count - 1] : NULL;
        if (last && (char *)last->iov_base + last->iov_len == head)
            last->iov_len += r->head_octets;
        else
            parts[count++] = (struct iovec){ head, r->head_octets };
        if (r->content_octets)
            parts[count++] = (struct iovec){ (void *)(uintptr_t)r->content, r->content_octets };
    }
    return count;
}

static void sleep_ms(uint64_t ms)
{
    const struct timespec time = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
    if (ms)
        nanosleep(&time, NULL);
}

static void run_group(void *context)
{
    struct group *g = context;
    struct iovec *parts = memory_resize(NULL, 2 * g->record_count * sizeof(*parts));
    size_t count = collect_parts(g, parts);
    g->error = disk_write_all(g->disk, g->fd, parts, count, g->offset);
    memory_free(parts);
    if (!g->error && g->wants_sync) {
        if (g->disk->sync(g->disk, g->fd) != 0)
            g->error = errno;
        sleep_ms(g->sync_delay_ms);
    }
    atomic_store(&g->has_run, true);
}

/* starting ---------------------------------------------------------------------------------------------------- */

static void on_group_done(void *context)
{
    struct group *g = context;
    if (!g->spool) { /* the spool was closed meanwhile and took the result itself */
        free_group(g);
        return;
    }
    g->is_complete = true;
    groups_finish_flying(g->spool);
}

static void place_messages(struct group *g)
{
    uint64_t offset = g->offset;
    size_t next = 0;
    for (size_t i = 0; i < g->pending_count; i++) {
        for (; next < g->pending[i].record; next++)
            offset += g->records[next].is_dropped ? 0 : g->records[next].head_octets + g->records[next].content_octets;
        const struct record *r = &g->records[next];
        struct entry *entry = g->pending[i].entry;
        g->pending[i].offset = offset;
        if (!g->pending[i].done)
            continue; /* a moved message stays where it was until the copy is durable */
        entry->offset = offset;
        entry->record_octets = r->head_octets + r->content_octets;
        segment_add_live(g->spool, g->segment, entry);
    }
}

static void fly(struct spool *spool, struct group *g)
{
    struct segment *segment = spool->current;
    bool has_flight = segment_find_flight(spool, segment, &g->flight);
    assert(has_flight); /* make_room looked */
    segment->is_flown[g->flight] = has_flight;
    g->segment = segment;
    g->disk = spool->disk;
    g->fd = segment->fds[g->flight];
    g->offset = segment->used;
    g->salt = segment->salt;
    g->sync_delay_ms = spool->params.sync_delay_ms;
    g->first_sequence = spool->sequence;
    atomic_store(&g->has_run, false);
    spool->sequence += g->record_count - g->dropped_count;
    segment->used += g->octets;
    segment->groups++;
    place_messages(g);
    list_append(&spool->flying, &g->link);
    spool->flying_count++;
    spool->groups++;
    spool->syncs += g->wants_sync;
    spool->last_started_ms = loop_now_ms(spool->loop);
    g->is_posted = !spool->is_closing;
    if (g->is_posted)
        work_run(spool->loop, WORK_DISK, run_group, on_group_done, g);
    else
        run_group(g);
}

static void set_durable_sequence(struct spool *spool, struct group *g)
{
    char *payload = g->heads.ptr + RECORD_HEADER_OCTETS;
    uint64_t value = htole64(spool->durable_sequence);
    memcpy(payload, &value, sizeof(value));
}

/* The last group of a segment: one record, and a sync for what only was written so far. */
static void seal_current(struct spool *spool)
{
    struct group *end = MEMORY_NEW(struct group);
    clear_group(end);
    end->spool = spool;
    /* it has no number of its own: what it makes durable stands before the group that is about to start */
    end->number = LIST_ITEM(spool->waiting.next, struct group, link)->number - 1;
    size_t head = begin_record(end);
    format_add_u64(&end->heads, 0);
    finish_record(end, RECORD_END, head, NULL, 0);
    end->wants_sync = true;
    spool->current->is_sealed = true;
    fly(spool, end);
}

static bool fits(const struct segment *s, const struct group *g, bool is_last)
{
    if (!s)
        return false;
    uint64_t kept = RECORD_NUMBER_OCTETS; /* for its end */
    if (g->has_messages && is_last)
        kept += s->octets / OUTCOME_RESERVE_SHARE;
    return s->used + kept + g->octets <= s->octets;
}

static void forget_refused(struct spool *spool, struct entry *entry)
{
    if (entry->is_large)
        spool->large_live_octets -= entry->message.content_octets;
    entry->is_finished = true;
    spool_content_settle(spool, entry);
}

/* Messages that found no room are refused; the outcomes beside them stay. */
static void drop_messages(struct spool *spool, struct group *g)
{
    struct pending *refused = g->pending;
    size_t count = g->pending_count;
    g->pending = NULL;
    g->pending_count = g->pending_capacity = 0;
    g->has_messages = false;
    g->dropped_count = count;
    for (size_t i = 0; i < count; i++) {
        struct record *r = &g->records[refused[i].record];
        r->is_dropped = true;
        g->octets -= r->head_octets + r->content_octets;
    }
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = refused[i].entry;
        entry->writing--;
        if (!refused[i].done) {
            spool_compact_gave_up(spool, entry);
            spool_content_settle(spool, entry);
            continue;
        }
        if (entry->is_large)
            spool_large_remove_later(spool, entry->message.id, 0);
        forget_refused(spool, entry);
        if (!spool->is_closing)
            refused[i].done(refused[i].context, SPOOL_FULL, NULL);
    }
    memory_free(refused);
    if (!spool->is_closing)
        spool_large_remove_due(spool); /* the room may be what is missing */
}

static bool is_hopeless(const struct spool *spool, const struct group *g)
{
    if (fits(spool->current, g, !spool->next))
        return false;
    return spool->next ? !fits(spool->next, g, true) : spool->allocation_failed;
}

/* All its messages were refused, and nobody needs its sync: writing its first record, of which there is one for each
 * refused mail, would only use up the room that is kept for outcomes. */
static bool is_pointless(const struct spool *spool, const struct group *g)
{
    bool is_empty = g->dropped_count > 0 && g->record_count - g->dropped_count == 1 && g->waiter_count == 0;
    bool is_synced = spool->durable_group == spool->written_group || spool->flying_count > 0;
    return is_empty && is_synced;
}

/* True: there is nothing left to write. */
static bool refuse_what_has_no_room(struct spool *spool, struct group *g)
{
    if (g->has_messages && is_hopeless(spool, g))
        drop_messages(spool, g);
    if (!is_pointless(spool, g))
        return false;
    list_remove(&g->link);
    put_group_back(spool, g);
    return true;
}

/* Gives the first waiting group its place. False: it has to wait for a segment, or for a flight that ends. */
static bool make_room(struct spool *spool, struct group *g)
{
    size_t flight;
    if (spool->current && !segment_find_flight(spool, spool->current, &flight))
        return false;
    if (fits(spool->current, g, !spool->next))
        return true;
    segments_prepare(spool);
    if (!spool->next)
        return false;
    if (spool->current)
        seal_current(spool);
    segment_activate_next(spool);
    return true;
}

static bool may_start(struct spool *spool, bool wants_sync)
{
    if (spool->flying_count == 0)
        return true;
    /* what is only written must be written before a sync that is to cover it begins: it flies alone */
    struct group *last = LIST_ITEM(spool->flying.previous, struct group, link);
    if (!wants_sync || !last->wants_sync || spool->flying_count >= FLYING_MAX)
        return false;
    return loop_now_ms(spool->loop) - spool->last_started_ms >= START_GAP_MS;
}

static void on_start_due(void *spool) { groups_turn_end(spool); }

void groups_start(struct spool *spool)
{
    while (!list_is_empty(&spool->waiting) && !spool->is_broken) {
        struct group *g = LIST_ITEM(spool->waiting.next, struct group, link);
        if (!may_start(spool, g->wants_sync))
            break;
        if (refuse_what_has_no_room(spool, g))
            continue;
        if (!make_room(spool, g))
            return; /* goes on when the segment is there, or at the end of the turn in which a flight ends */
        list_remove(&g->link);
        set_durable_sequence(spool, g);
        fly(spool, g);
    }
    bool waits = !list_is_empty(&spool->waiting) || (spool->gathering && spool->gathering->wants_sync);
    if (waits && spool->flying_count < FLYING_MAX && !timer_is_set(&spool->start_timer))
        timer_set(spool->loop, &spool->start_timer, START_GAP_MS, on_start_due, spool);
}

static void fail_gathered(struct spool *spool);

/* Closes the gathering group when it may start at once; else it goes on gathering. */
void groups_turn_end(void *context)
{
    struct spool *spool = context;
    struct group *g = spool->gathering;
    if (spool->is_broken) {
        fail_gathered(spool);
        return;
    }
    bool write_is_due = g && !timer_is_set(&spool->write_timer);
    if (g && (g->wants_sync || write_is_due) && list_is_empty(&spool->waiting) && may_start(spool, g->wants_sync)) {
        list_append(&spool->waiting, &g->link);
        spool->gathering = NULL;
        timer_clear(spool->loop, &spool->write_timer);
    }
    if (!list_is_empty(&spool->waiting) || (spool->gathering && spool->gathering->wants_sync))
        groups_start(spool);
    if (write_is_due && spool->gathering)
        timer_set(spool->loop, &spool->write_timer, WRITE_WITHIN_MS, on_write_due, spool);
}

/* finishing --------------------------------------------------------------------------------------------------- */

static void call_waiters(struct spool *spool, struct group *g, enum spool_result result)
{
    for (size_t i = 0; i < g->waiter_count && !spool->is_closing; i++)
        g->waiters[i].done(g->waiters[i].context, result);
}

static void fail_pending(struct spool *spool, struct group *g)
{
    for (size_t i = 0; i < g->pending_count; i++) {
        struct pending *p = &g->pending[i];
        p->entry->writing--;
        if (!p->done) { /* a move: the message stands where it stood */
            spool_content_settle(spool, p->entry);
            continue;
        }
        if (p->entry->segment)
            segment_remove_live(spool, p->entry, g->number);
        forget_refused(spool, p->entry);
        if (!spool->is_closing)
            p->done(p->context, SPOOL_BROKEN, NULL);
    }
    call_waiters(spool, g, SPOOL_BROKEN);
    put_group_back(spool, g);
}

static void fail_gathered(struct spool *spool)
{
    struct list *node;
    while ((node = list_take_first(&spool->waiting)))
        fail_pending(spool, LIST_ITEM(node, struct group, link));
    struct group *g = spool->gathering;
    spool->gathering = NULL;
    timer_clear(spool->loop, &spool->write_timer);
    if (g)
        fail_pending(spool, g);
}

void spool_break(struct spool *spool, const char *what, int error)
{
    if (spool->is_broken)
        return;
    spool->is_broken = true;
    text_add_format(&spool->trouble, "%s: %s", what, strerror(error));
    spool_look_at_state(spool);
}

static void finish_message(struct spool *spool, struct pending *p)
{
    struct entry *entry = p->entry;
    id_map_set(&spool->index, entry->message.id, entry);
    spool_content_settle(spool, entry);
    if (!spool->is_closing)
        p->done(p->context, SPOOL_OK, &entry->message);
}

static void finish_pending(struct spool *spool, struct group *g)
{
    for (size_t i = 0; i < g->pending_count; i++) {
        struct pending *p = &g->pending[i];
        const struct record *r = &g->records[p->record];
        p->entry->writing--;
        if (r->content_octets)
            p->entry->content_crc = r->content_crc;
        if (p->done)
            finish_message(spool, p);
        else
            spool_compact_moved(spool, p->entry, g->segment, p->offset, r->head_octets + r->content_octets);
    }
    call_waiters(spool, g, SPOOL_OK);
}

static void on_sync_due(void *context)
{
    struct spool *spool = context;
    if (spool->is_broken || spool->durable_group >= spool->written_group)
        return;
    group_gather(spool)->wants_sync = true;
    groups_turn_end(spool);
}

static void take_group(struct spool *spool, struct group *g)
{
    list_remove(&g->link);
    spool->flying_count--;
    g->segment->groups--;
    g->segment->is_flown[g->flight] = false;
    segment_close_if_idle(spool, g->segment);
    if (g->error)
        spool_break(spool, "writing the journal failed", g->error);
    if (spool->is_broken) {
        fail_pending(spool, g);
        return;
    }
    spool->written_group = g->number;
    if (g->wants_sync) {
        spool->durable_group = g->number;
        spool->durable_sequence = g->first_sequence + g->record_count - g->dropped_count - 1;
    } else if (!timer_is_set(&spool->sync_timer)) {
        timer_set(spool->loop, &spool->sync_timer, SYNC_WITHIN_MS, on_sync_due, spool);
    }
    finish_pending(spool, g);
    put_group_back(spool, g);
}

void groups_finish_flying(struct spool *spool)
{
    while (!list_is_empty(&spool->flying)) {
        struct group *g = LIST_ITEM(spool->flying.next, struct group, link);
        if (!g->is_complete)
            break;
        take_group(spool, g);
    }
    if (spool->is_broken) {
        fail_gathered(spool);
        return;
    }
    spool_large_remove_due(spool);
    segments_retire(spool);
    spool_compact(spool);
}

/* the spool's end --------------------------------------------------------------------------------------------- */

static void take_all_flying(struct spool *spool)
{
    const struct timespec moment = { .tv_nsec = 200 * 1000 };
    while (!list_is_empty(&spool->flying)) {
        struct group *g = LIST_ITEM(spool->flying.next, struct group, link);
        while (!atomic_load(&g->has_run))
            nanosleep(&moment, NULL);
        take_group(spool, g);
    }
}

void groups_drain(struct spool *spool)
{
    take_all_flying(spool);
    if (!spool->is_broken &&
        (spool->gathering || spool->durable_group < spool->written_group || !list_is_empty(&spool->waiting))) {
        struct group *last = group_gather(spool);
        last->wants_sync = true;
        list_append(&spool->waiting, &last->link);
        spool->gathering = NULL;
    }
    while (!list_is_empty(&spool->waiting) && !spool->is_broken) {
        struct group *g = LIST_ITEM(spool->waiting.next, struct group, link);
        if (refuse_what_has_no_room(spool, g))
            continue;
        if (!make_room(spool, g)) {
            int error = segment_prepare_now(spool);
            if (error)
                spool_break(spool, "no room for the last outcomes", error);
            continue; /* once more, now that there is a segment */
        }
        list_remove(&g->link);
        set_durable_sequence(spool, g);
        fly(spool, g);
        take_all_flying(spool);
    }
    if (spool->is_broken)
        fail_gathered(spool);
}

void groups_free(struct spool *spool)
{
    struct list *node;
    while ((node = list_take_first(&spool->idle_groups)))
        free_group(LIST_ITEM(node, struct group, link));
}
