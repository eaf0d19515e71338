#include "spool/journal.h"
/*
 * compaction - what still lives in the oldest segment is copied to the newest, so that the old one can go. A copy is a
 * whole message record with the states of its recipients; it counts once it is durable, and until then the message
 * stands where it stood. Disk use is bounded by what is live, and so is the writing: copying starts when the oldest
 * segment is nearly empty (cheap), or when the segments take more than twice what is live and three more (then each new
 * segment's worth of mail costs at most one segment of copying; and copying all there is once gets below that bound, so
 * it ends).
 */
enum { MOVES_MAX = 64, MOVE_OCTETS_MAX = 1 << 20, CHEAP_SHARE = 8, SEGMENTS_MIN = 3 };

static bool is_worth_it(const struct spool *spool, const struct segment *oldest)
{
    uint64_t bound = 2 * spool->live_octets + SEGMENTS_MIN * spool->params.segment_octets;
    bool is_cheap = spool->segment_count >= SEGMENTS_MIN && oldest->live_octets <= oldest->octets / CHEAP_SHARE;
    return is_cheap || spool->segments_octets > bound;
}

static void move(struct spool *spool, struct entry *entry)
{
    entry->is_moving = true;
    spool->moves++;
    if (entry->content || entry->is_large || entry->is_damaged) {
        spool_content_keep(spool, entry);
        group_add_message(spool, entry, NULL, NULL);
    } else {
        spool_content_load_for_move(spool, entry);
    }
}

void spool_compact(struct spool *spool)
{
    /* one batch at a time, and none while the room for it is not there */
    if (spool->moves > 0 || spool->is_broken || spool->allocation_failed || list_is_empty(&spool->segments))
        return;
    struct segment *oldest = LIST_ITEM(spool->segments.next, struct segment, link);
    if (oldest == spool->current || oldest->live_count == 0 || !is_worth_it(spool, oldest))
        return;
    uint64_t octets = 0;
    LIST_EACH(&oldest->live, node) {
        struct entry *entry = LIST_ITEM(node, struct entry, in_segment);
        if (spool->moves >= MOVES_MAX || octets >= MOVE_OCTETS_MAX)
            break;
        octets += entry->record_octets;
        move(spool, entry);
    }
}

void spool_compact_loaded(struct spool *spool, struct entry *entry, bool ok)
{
    /* damaged: what is left of it, envelope and states, moves on, so that its sender can still be told */
    if (!entry->is_finished && entry->segment && (ok || entry->is_damaged) && !spool->is_broken) {
        group_add_message(spool, entry, NULL, NULL);
        return;
    }
    spool_compact_gave_up(spool, entry);
}

void spool_compact_gave_up(struct spool *spool, struct entry *entry)
{
    entry->is_moving = false;
    spool->moves--;
}

void spool_compact_moved(struct spool *spool, struct entry *entry, struct segment *to, uint64_t offset,
                         uint32_t record_octets)
{
    spool->moves--;
    entry->is_moving = false;
    if (!entry->is_finished) {
        segment_remove_live(spool, entry, 0);
        entry->offset = offset;
        entry->record_octets = record_octets;
        segment_add_live(spool, to, entry);
    }
    spool_content_settle(spool, entry);
}
