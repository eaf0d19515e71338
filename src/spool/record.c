#include "base/memory.h"
#include "spool/journal.h"

static void add_change(struct spool *spool, uint64_t id, enum change what, uint64_t value)
{
    if (spool->is_broken)
        return;
    size_t start;
    struct text *to = group_begin_record(spool, &start);
    format_add_u64(to, id);
    format_add_u32(to, what);
    format_add_u32(to, 0);
    format_add_u64(to, value);
    group_end_record(spool, RECORD_CHANGE, start);
}

static void add_outcome(struct spool *spool, const struct entry *entry, size_t recipient)
{
    const struct spool_recipient *r = &entry->message.recipients[recipient];
    if (spool->is_broken)
        return;
    size_t start;
    struct text *to = group_begin_record(spool, &start);
    format_add_u64(to, entry->message.id);
    format_add_u32(to, (uint32_t)recipient);
    format_add_u32(to, r->attempts);
    format_add_u64(to, r->next_attempt_ms);
    outcome_encode(to, &r->last);
    group_end_record(spool, RECORD_OUTCOME, start);
}

static void add_done(struct spool *spool, uint64_t id, size_t recipient, enum action action)
{
    if (spool->is_broken)
        return;
    size_t start;
    struct text *to = group_begin_record(spool, &start);
    format_add_u64(to, id);
    format_add_u32(to, (uint32_t)recipient);
    format_add_u32(to, action);
    group_end_record(spool, RECORD_DONE, start);
}

/* The last recipient is finished. The segment may go once the group with that record is durable. */
static void finish(struct spool *spool, struct entry *entry)
{
    uint64_t group = spool->gathering ? spool->gathering->number : 0;
    id_map_remove(&spool->index, entry->message.id);
    segment_remove_live(spool, entry, group);
    if (entry->is_large) {
        spool->large_live_octets -= entry->message.content_octets;
        if (!spool->is_broken) /* else its record may come back */
            spool_large_remove_later(spool, entry->message.id, group);
    }
    spool_content_keep(spool, entry);
    entry->is_finished = true;
    spool_content_settle(spool, entry);
}

bool spool_record(struct spool *spool, struct spool_message *m, size_t recipient, const struct outcome *outcome,
                  uint64_t next_attempt_ms)
{
    struct entry *entry = entry_of(m);
    struct spool_recipient *r = &m->recipients[recipient];
    assert(loop_is_current(spool->loop) && recipient < m->envelope->recipient_count);
    assert(!entry->is_finished && !r->is_final && outcome->action != ACTION_NONE);
    bool is_final = outcome_is_final(outcome->action), is_last = is_final && m->open_recipients == 1;
    entry->untried -= r->attempts == 0;
    r->attempts++;
    r->next_attempt_ms = is_final ? 0 : next_attempt_ms;
    if (is_last) {
        add_done(spool, m->id, recipient, outcome->action);
        finish(spool, entry);
        return true;
    }
    /* while others are open, a report may still want the words of this one */
    entry_set_outcome(entry, recipient, outcome);
    r->is_final = is_final;
    m->open_recipients -= is_final;
    add_outcome(spool, entry, recipient);
    if (entry->untried == 0)
        spool_content_settle(spool, entry);
    return false;
}

void spool_set_held(struct spool *spool, struct spool_message *m, bool held)
{
    assert(loop_is_current(spool->loop));
    if (m->held == held)
        return;
    m->held = held;
    add_change(spool, m->id, CHANGE_HELD, held);
}

void spool_set_delay_warning(struct spool *spool, struct spool_message *m)
{
    assert(loop_is_current(spool->loop));
    if (m->has_delay_warning)
        return;
    m->has_delay_warning = true;
    add_change(spool, m->id, CHANGE_DELAY_WARNING, 1);
}

void spool_set_next_attempt(struct spool *spool, struct spool_message *m, uint64_t next_attempt_ms)
{
    assert(loop_is_current(spool->loop));
    for (size_t i = 0; i < m->envelope->recipient_count; i++)
        if (!m->recipients[i].is_final)
            m->recipients[i].next_attempt_ms = next_attempt_ms;
    add_change(spool, m->id, CHANGE_NEXT_ATTEMPT, next_attempt_ms);
}

void spool_sync(struct spool *spool, spool_synced *done, void *context)
{
    assert(loop_is_current(spool->loop));
    group_add_waiter(spool, done, context);
}

void spool_set_reserve(struct spool *spool, uint64_t octets)
{
    assert(loop_is_current(spool->loop));
    spool->params.reserve_octets = octets;
}
