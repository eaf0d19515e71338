#include "base/clock.h"
#include "base/memory.h"
#include "spool/journal.h"
#include "spool/scan.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/*
 * recovery - the live index from the octets on disk. Every whole record counts, also behind torn ones: a message that
 * was never acknowledged may come back (its client will send it again, as after any lost reply), one that was
 * acknowledged never stays away. What lies below the highest sequence number that some group recorded as durable, and
 * is not whole, is proven damage and told loudly; above it, it is what a crash leaves behind.
 *
 * Then the tail is written and synced once more: after a failed fdatasync the kernel may hold octets in memory, and
 * call them clean, that the disk never took.
 */
struct bad_range {
    uint64_t segment, offset, octets;
    uint64_t first_missing, next_sequence; /* next 0: nothing follows in the segment */
};
struct found_segment {
    struct segment *segment;
    struct scan_result result;
    uint64_t first_sequence;
    bool is_damaged; /* torn at its end, but below what was durable: left as it is for whoever looks into it */
};
struct recovery {
    struct spool *spool;
    struct text *error;
    uint64_t *numbers;
    size_t number_count;
    struct found_segment *found;
    size_t found_count;
    struct found_segment *now;
    struct bad_range *bad;
    size_t bad_count;
    uint64_t durable, expected; /* expected: the sequence number that comes next when nothing is missing */
    struct arena scratch;
    struct text report;
    bool is_foreign; /* a record that this version cannot read: refuse */
};

static void add_bad(struct recovery *r, struct bad_range bad)
{
    r->bad = memory_resize(r->bad, (r->bad_count + 1) * sizeof(*r->bad));
    r->bad[r->bad_count++] = bad;
}

/* replay ------------------------------------------------------------------------------------------------------ */

static void forget(struct spool *spool, struct entry *entry)
{
    id_map_remove(&spool->index, entry->message.id);
    segment_remove_live(spool, entry, 0);
    if (entry->is_large)
        spool->large_live_octets -= entry->message.content_octets;
    entry_free(entry);
}

static void set_final(struct entry *entry, size_t recipient)
{
    struct spool_recipient *r = &entry->message.recipients[recipient];
    if (r->is_final)
        return;
    r->is_final = true;
    entry->message.open_recipients--;
}

static void set_state(struct entry *entry, size_t i, const struct recipient_state *state)
{
    struct spool_recipient *r = &entry->message.recipients[i];
    entry_set_outcome(entry, i, &state->last);
    r->attempts = state->attempts;
    r->next_attempt_ms = state->next_attempt_ms;
    if (state->is_final)
        set_final(entry, i);
}

static bool set_states(struct recovery *r, struct entry *entry, slice states)
{
    size_t count = entry->message.envelope->recipient_count;
    for (size_t i = 0; i < count && states.len > 0; i++) {
        struct recipient_state state;
        if (!state_decode(&r->scratch, &states, &state))
            return false;
        set_state(entry, i, &state);
    }
    return states.len == 0;
}

static struct entry *make_entry(struct recovery *r, const struct scan_record *record, const struct message_facts *facts)
{
    struct envelope envelope;
    if (!envelope_decode(&r->scratch, facts->envelope, &envelope))
        return NULL;
    struct entry *entry = entry_new(facts->id, &envelope);
    if (!set_states(r, entry, facts->states)) {
        entry_free(entry);
        return NULL;
    }
    struct spool_message *m = &entry->message;
    m->content_octets = facts->content_octets;
    m->header_octets = facts->header_octets;
    m->held = facts->flags & MESSAGE_HELD;
    m->has_delay_warning = facts->flags & MESSAGE_DELAY_WARNING;
    m->has_8bit = facts->flags & MESSAGE_8BIT;
    entry->is_large = facts->flags & MESSAGE_LARGE;
    entry->is_damaged = facts->flags & MESSAGE_DAMAGED || !record->content_is_whole;
    entry->is_torn = !record->content_is_whole;
    entry->sequence = record->header.sequence;
    entry->content_crc = facts->content_crc;
    entry->offset = record->offset;
    entry->record_octets = (uint32_t)record->octets;
    return entry;
}

static bool content_fits(const struct scan_record *record, const struct message_facts *facts)
{
    bool is_elsewhere = facts->flags & (MESSAGE_LARGE | MESSAGE_DAMAGED);
    return record->header.content_octets == (is_elsewhere ? 0 : facts->content_octets);
}

static bool replay_message(struct recovery *r, const struct scan_record *record)
{
    struct spool *spool = r->spool;
    struct message_facts facts;
    struct entry *entry = NULL;
    if (message_facts_decode(record->payload, &facts) && content_fits(record, &facts))
        entry = make_entry(r, record, &facts);
    arena_reset(&r->scratch);
    if (!entry)
        return false;
    if (spool->last_id < facts.id)
        spool->last_id = facts.id;
    struct entry *old = id_map_get(&spool->index, facts.id);
    if (entry->message.open_recipients == 0 || (old && entry->is_torn && !old->is_torn)) {
        entry_free(entry); /* a copy forward that was torn: the original still stands */
        return true;
    }
    if (old)
        forget(spool, old);
    id_map_set(&spool->index, facts.id, entry);
    segment_add_live(spool, r->now->segment, entry);
    if (entry->is_large)
        spool->large_live_octets += facts.content_octets;
    return true;
}

/* A record about a message that is not here any more is of no interest. */
static struct entry *find(struct recovery *r, uint64_t id, uint32_t recipient)
{
    struct entry *entry = id_map_get(&r->spool->index, id);
    if (r->spool->last_id < id)
        r->spool->last_id = id;
    return entry && recipient < entry->message.envelope->recipient_count ? entry : NULL;
}

static bool replay_outcome(struct recovery *r, const struct scan_record *record)
{
    slice input = record->payload;
    uint64_t id;
    uint32_t recipient;
    struct recipient_state state = { 0 };
    bool ok = format_take_u64(&input, &id) && format_take_u32(&input, &recipient) &&
              format_take_u32(&input, &state.attempts) && format_take_u64(&input, &state.next_attempt_ms) &&
              outcome_decode(&r->scratch, &input, &state.last);
    struct entry *entry = ok ? find(r, id, recipient) : NULL;
    state.is_final = ok && outcome_is_final(state.last.action);
    if (entry)
        set_state(entry, recipient, &state);
    if (entry && entry->message.open_recipients == 0)
        forget(r->spool, entry);
    arena_reset(&r->scratch);
    return ok;
}

static bool replay_done(struct recovery *r, const struct scan_record *record)
{
    slice input = record->payload;
    uint64_t id;
    uint32_t recipient, action;
    if (!format_take_u64(&input, &id) || !format_take_u32(&input, &recipient) || !format_take_u32(&input, &action))
        return false;
    struct entry *entry = find(r, id, recipient);
    if (entry)
        set_final(entry, recipient);
    if (entry && entry->message.open_recipients == 0)
        forget(r->spool, entry);
    return true;
}

static bool replay_change(struct recovery *r, const struct scan_record *record)
{
    slice input = record->payload;
    uint64_t id, value;
    uint32_t what, unused;
    if (!format_take_u64(&input, &id) || !format_take_u32(&input, &what) || !format_take_u32(&input, &unused) ||
        !format_take_u64(&input, &value) || what > CHANGE_NEXT_ATTEMPT)
        return false;
    struct entry *entry = find(r, id, 0);
    if (!entry)
        return true;
    struct spool_message *m = &entry->message;
    if (what == CHANGE_HELD)
        m->held = value != 0;
    else if (what == CHANGE_DELAY_WARNING)
        m->has_delay_warning = value != 0;
    else
        for (size_t i = 0; i < m->envelope->recipient_count; i++)
            if (!m->recipients[i].is_final)
                m->recipients[i].next_attempt_ms = value;
    return true;
}

static bool replay_group(struct recovery *r, const struct scan_record *record)
{
    slice input = record->payload;
    uint64_t durable;
    if (!format_take_u64(&input, &durable))
        return false;
    if (r->durable < durable)
        r->durable = durable;
    return true;
}

/* END and HOLE: what is missing up to here was looked at when it was fresh, and never promised. */
static bool replay_missing(struct recovery *r, const struct scan_record *record)
{
    slice input = record->payload;
    uint64_t missing;
    if (!format_take_u64(&input, &missing))
        return false;
    if (r->expected <= missing)
        r->expected = missing + 1;
    return true;
}

typedef bool replay_function(struct recovery *, const struct scan_record *);
static replay_function *const replay[RECORD_TYPES] = {
    [RECORD_GROUP] = replay_group,  [RECORD_MESSAGE] = replay_message, [RECORD_OUTCOME] = replay_outcome,
    [RECORD_DONE] = replay_done,    [RECORD_CHANGE] = replay_change,   [RECORD_END] = replay_missing,
    [RECORD_HOLE] = replay_missing,
};

static bool on_record(void *context, const struct scan_record *record)
{
    struct recovery *r = context;
    uint64_t sequence = record->header.sequence;
    if (!replay[record->header.type](r, record)) {
        text_add_format(r->error,
                        "spool %s: segment %016" PRIx64 " holds a whole record (at octet %" PRIu64
                        ", type %d) in a form "
                        "that this version does not know: start the version that wrote it",
                        r->spool->dir, r->now->segment->number, record->offset, (int)record->header.type);
        r->is_foreign = true;
        return false;
    }
    if (r->expected && sequence > r->expected) /* 0: the first of all; what was before it is gone in order */
        add_bad(r, (struct bad_range){ r->now->segment->number, record->bad_offset, record->offset - record->bad_offset,
                                       r->expected, sequence });
    if (r->now->first_sequence == 0)
        r->now->first_sequence = sequence;
    if (r->expected <= sequence)
        r->expected = sequence + 1;
    return true;
}

/* segments ---------------------------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool parse_name(const char *name, const char *suffix, uint64_t *number)
{
    slice s = slice_from_cstr(name);
    if (s.len != 16 + strlen(suffix) || !slice_ends_with(s, slice_from_cstr(suffix)))
        return false;
    return message_id_parse(slice_head(s, 16), number);
}

static bool list_segments(struct recovery *r)
{
    struct spool *spool = r->spool;
    int copy = dup(spool->folder);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (!dir) {
        text_add_format(r->error, "cannot read the folder %s: %s", spool->dir, strerror(errno));
        if (copy >= 0)
            close(copy);
        return false;
    }
    rewinddir(dir);
    for (struct dirent *d; (d = readdir(dir));) {
        uint64_t number;
        bool is_spare = parse_name(d->d_name, ".spare", &number);
        if (is_spare && spool->next_number <= number)
            spool->next_number = number + 1;
        struct stat status;
        if (is_spare && spool->spare_count < SPARES_MAX &&
            fstatat(spool->folder, d->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            (uint64_t)status.st_size == spool->params.segment_octets)
            spool->spares[spool->spare_count++] = number;
        else if (is_spare)
            (void)spool->disk->remove(spool->disk, spool->folder, d->d_name);
        if (!parse_name(d->d_name, ".journal", &number))
            continue;
        r->numbers = memory_resize(r->numbers, (r->number_count + 1) * sizeof(*r->numbers));
        r->numbers[r->number_count++] = number;
    }
    closedir(dir);
    if (r->number_count)
        qsort(r->numbers, r->number_count, sizeof(*r->numbers), compare_numbers);
    return true;
}

static bool check_header(struct recovery *r, uint64_t number, const char *octets, uint64_t file_octets,
                         struct segment_header *h)
{
    struct spool *spool = r->spool;
    enum header_error result = segment_header_decode(slice_from(octets, SEGMENT_HEADER_USED), h);
    if (result == HEADER_OTHER_VERSION) {
        text_add_format(r->error,
                        "spool %s was written by a newer Postrider (journal version %u, this one knows %d): start that "
                        "version again, or let it deliver everything before going back",
                        spool->dir, (unsigned)h->version, SEGMENT_VERSION);
        return false;
    }
    if (result == HEADER_OK && h->loop != spool->params.loop_number) {
        text_add_format(r->error,
                        "spool %s belongs to loop %u and was opened as loop %u: its folder was moved or renamed",
                        spool->dir, (unsigned)h->loop, spool->params.loop_number);
        return false;
    }
    if (result == HEADER_OK && h->number == number && h->octets >= SEGMENT_HEADER_OCTETS)
        return true;
    /* the header's block is bad: the salt also stands in the first record, whose own CRC will tell if it is right */
    text_add_format(&r->report, "segment %016" PRIx64 ": its header is damaged, its records are read all the same\n",
                    number);
    spool->recovery.damaged_octets += SEGMENT_HEADER_USED;
    uint64_t salt;
    memcpy(&salt, octets + SEGMENT_HEADER_OCTETS + 16, sizeof(salt));
    *h = (struct segment_header){ .number = number, .salt = le64toh(salt), .octets = file_octets };
    return true;
}

static bool open_segment(struct recovery *r, uint64_t number, struct segment_header *h, int *fd)
{
    struct spool *spool = r->spool;
    char name[NAME_OCTETS], octets[SEGMENT_HEADER_OCTETS + RECORD_HEADER_OCTETS] = { 0 };
    snprintf(name, sizeof(name), SEGMENT_NAME_FORMAT, number);
    *fd = spool->disk->open(spool->disk, spool->folder, name, O_RDWR);
    struct stat status;
    if (*fd < 0 || fstat(*fd, &status) != 0) {
        text_add_format(r->error, "cannot open %s/%s: %s", spool->dir, name, strerror(errno));
        return false;
    }
    size_t got;
    (void)!disk_read_all(spool->disk, *fd, octets, sizeof(octets), 0, &got); /* unreadable is damaged */
    return check_header(r, number, octets, (uint64_t)status.st_size, h);
}

static bool read_segment(struct recovery *r, uint64_t number)
{
    struct spool *spool = r->spool;
    struct segment_header h = { 0 };
    int fd = -1;
    if (!open_segment(r, number, &h, &fd)) {
        if (fd >= 0)
            spool->disk->close(spool->disk, fd);
        return false;
    }
    if (spool->last_id < h.last_id)
        spool->last_id = h.last_id;
    struct found_segment *found = r->now = &r->found[r->found_count++];
    found->segment = segment_new(number, h.salt, h.octets, fd);
    list_append(&spool->segments, &found->segment->link);
    spool->segment_count++;
    spool->segments_octets += h.octets;
    spool->next_number = number + 1 > spool->next_number ? number + 1 : spool->next_number;
    bool goes_on = scan_segment(spool->disk, fd, h.octets, h.salt, on_record, r, &found->result);
    found->segment->used = found->result.end;
    found->segment->is_sealed = true;
    spool->recovery.records += found->result.records;
    spool->recovery.damaged_octets += found->result.unreadable_octets;
    if (goes_on && found->result.torn_octets)
        add_bad(r, (struct bad_range){ number, found->result.end, found->result.torn_octets,
                                       found->result.torn_sequence, 0 });
    return goes_on;
}

/* judging ----------------------------------------------------------------------------------------------------- */

static void judge_ranges(struct recovery *r)
{
    struct spool_recovery *facts = &r->spool->recovery;
    for (size_t i = 0; i < r->bad_count; i++) {
        struct bad_range *bad = &r->bad[i];
        if (bad->first_missing > r->durable) {
            facts->torn_octets += bad->octets;
            continue;
        }
        facts->damaged_octets += bad->octets;
        text_add_format(&r->report,
                        "segment %016" PRIx64 ": %" PRIu64 " octets at %" PRIu64 " are damaged; records %" PRIu64
                        " and following were on disk and are lost\n",
                        bad->segment, bad->octets, bad->offset, bad->first_missing);
    }
    for (size_t i = 0; i < r->found_count; i++) {
        const struct scan_result *result = &r->found[i].result;
        r->found[i].is_damaged = result->torn_octets > 0 && result->torn_sequence <= r->durable;
    }
}

static void report_lost_content(struct recovery *r, const struct entry *entry, const char *why)
{
    r->spool->recovery.damaged_messages++;
    text_add_format(&r->report, "message %016" PRIx64 ": its content is lost (%s); sender and recipients are known\n",
                    entry->message.id, why);
}

static bool large_file_is_there(const struct spool *spool, const struct entry *entry)
{
    char name[NAME_OCTETS];
    struct stat status;
    snprintf(name, sizeof(name), LARGE_NAME_FORMAT, entry->message.id);
    return fstatat(spool->large_folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == entry->message.content_octets;
}

static void judge_messages(struct recovery *r)
{
    struct spool *spool = r->spool;
    LIST_EACH(&spool->segments, segment_node) {
        struct segment *segment = LIST_ITEM(segment_node, struct segment, link);
        LIST_EACH(&segment->live, node) {
            struct entry *entry = LIST_ITEM(node, struct entry, in_segment);
            if (entry->is_torn && entry->sequence > r->durable) {
                spool->recovery.torn_octets += entry->record_octets;
                forget(spool, entry); /* its group was in flight: never acknowledged */
                continue;
            }
            if (entry->is_torn)
                report_lost_content(r, entry, "its octets on disk changed");
            if (entry->is_large && !entry->is_damaged && !large_file_is_there(spool, entry)) {
                entry->is_damaged = true;
                report_lost_content(r, entry, "its file is missing or has another size");
            }
            for (size_t i = 0; i < entry->message.envelope->recipient_count; i++)
                entry->untried -= entry->message.recipients[i].attempts > 0;
        }
    }
    spool->recovery.messages = spool->index.count;
}

static void remove_orphans(struct recovery *r)
{
    struct spool *spool = r->spool;
    int copy = dup(spool->large_folder);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (!dir) {
        if (copy >= 0)
            close(copy);
        return;
    }
    rewinddir(dir);
    for (struct dirent *d; (d = readdir(dir));) {
        uint64_t id;
        if (!parse_name(d->d_name, "", &id))
            continue;
        if (spool->last_id < id)
            spool->last_id = id;
        struct entry *entry = id_map_get(&spool->index, id);
        if ((!entry || !entry->is_large) && spool->disk->remove(spool->disk, spool->large_folder, d->d_name) == 0)
            spool->recovery.orphans_removed++;
    }
    closedir(dir);
}

/* the tail ---------------------------------------------------------------------------------------------------- */

struct resync {
    struct spool *spool;
    struct segment *segment;
    uint64_t durable, last_sequence;
    uint64_t rewrite_from;
    int error;
};

static int write_number(const struct resync *s, enum record_type type, uint64_t offset, uint64_t octets,
                        uint64_t sequence, uint64_t number)
{
    char head[RECORD_NUMBER_OCTETS];
    const struct record_header h = {
        .type = type,
        .payload_octets = (uint32_t)(octets - RECORD_HEADER_OCTETS),
        .content_octets = (uint32_t)(octets - RECORD_NUMBER_OCTETS),
    };
    record_header_encode(head, &h);
    record_set_place(head, s->segment->salt, sequence);
    number = htole64(number);
    memcpy(head + RECORD_HEADER_OCTETS, &number, sizeof(number));
    record_set_crc(head, record_crc(slice_from(head, sizeof(head))));
    struct iovec part = { head, sizeof(head) };
    return disk_write_all(s->spool->disk, s->segment->fds[0], &part, 1, offset);
}

/* Torn octets between whole records become a hole, so that later starts, when more is durable, do not take them for
 * damage. */
static bool on_tail_record(void *context, const struct scan_record *record)
{
    struct resync *s = context;
    uint64_t gap = record->offset - record->bad_offset, sequence = record->header.sequence;
    bool is_torn = s->last_sequence + 1 > s->durable && gap >= RECORD_NUMBER_OCTETS;
    if (is_torn && sequence > s->last_sequence + 1)
        s->error = write_number(s, RECORD_HOLE, record->bad_offset, gap, s->last_sequence + 1, sequence - 1);
    /* a message whose content is torn was dropped: so that it is not taken for a damaged one later */
    if (!s->error && !record->content_is_whole && sequence > s->durable)
        s->error = write_number(s, RECORD_HOLE, record->offset, record->octets, sequence, sequence);
    if (sequence > s->durable && s->rewrite_from == 0)
        s->rewrite_from = record->offset;
    s->last_sequence = sequence;
    return s->error == 0;
}

static int rewrite(const struct resync *s, uint64_t from, uint64_t to)
{
    enum { PIECE = 1 << 20 };
    struct disk *disk = s->spool->disk;
    char *piece = memory_resize(NULL, PIECE);
    int error = 0;
    while (!error && from < to) {
        size_t wanted = to - from < PIECE ? (size_t)(to - from) : PIECE, got;
        error = disk_read_all(disk, s->segment->fds[0], piece, wanted, from, &got);
        struct iovec part = { piece, got };
        if (!error && got < wanted)
            error = EIO;
        if (!error)
            error = disk_write_all(disk, s->segment->fds[0], &part, 1, from);
        from += got;
    }
    memory_free(piece);
    return error;
}

/* next_first: the first sequence number of the segment after it, 0: there is none. */
static int resync_segment(struct recovery *r, struct found_segment *found, uint64_t next_first)
{
    struct spool *spool = r->spool;
    struct resync s = { .spool = spool, .segment = found->segment, .durable = r->durable };
    struct scan_result result;
    s.last_sequence = found->first_sequence ? found->first_sequence - 1 : 0;
    scan_segment(spool->disk, found->segment->fds[0], found->segment->octets, found->segment->salt, on_tail_record, &s,
                 &result);
    if (!s.error && s.rewrite_from)
        s.error = rewrite(&s, s.rewrite_from, result.end);
    bool wants_end =
        !result.has_end && !found->is_damaged && result.end + RECORD_NUMBER_OCTETS <= found->segment->octets;
    if (!s.error && wants_end) {
        uint64_t sequence = next_first > result.last_sequence + 1 ? next_first - 1 : spool->sequence++;
        s.error = write_number(&s, RECORD_END, result.end, RECORD_NUMBER_OCTETS, sequence, sequence);
    }
    if (!s.error && spool->disk->sync(spool->disk, found->segment->fds[0]) != 0)
        s.error = errno;
    return s.error;
}

/* Only segments that may not be durable as they read, or that lack their end. */
static bool resync_tail(struct recovery *r)
{
    struct spool *spool = r->spool;
    for (size_t i = 0; i < r->found_count; i++) {
        struct found_segment *found = &r->found[i];
        bool is_settled = found->result.has_end && found->result.last_sequence <= r->durable;
        if (is_settled || found->segment == spool->next)
            continue;
        int error = resync_segment(r, found, i + 1 < r->found_count ? r->found[i + 1].first_sequence : 0);
        if (error) {
            text_add_format(r->error, "spool %s: the disk fails: writing segment %016" PRIx64 " once more: %s",
                            spool->dir, found->segment->number, strerror(error));
            return false;
        }
    }
    return true;
}

/* The newest segment, when nothing was written to it yet, is the next one; of any other file only names are kept. */
static void take_prepared(struct recovery *r)
{
    struct spool *spool = r->spool;
    struct found_segment *last = r->found_count ? &r->found[r->found_count - 1] : NULL;
    if (!last || last->result.records || last->result.torn_octets || last->result.unreadable_octets ||
        last->segment->octets != spool->params.segment_octets)
        return;
    list_remove(&last->segment->link);
    spool->segment_count--;
    spool->segments_octets -= last->segment->octets;
    last->segment->is_sealed = false;
    spool->next = last->segment;
}

static bool prepare_first(struct recovery *r)
{
    int failed = r->spool->next ? 0 : segment_prepare_now(r->spool);
    if (failed)
        text_add_format(r->error, "cannot make a journal segment in %s: %s", r->spool->dir, strerror(failed));
    return !failed;
}

static void close_sealed(struct spool *spool)
{
    LIST_EACH(&spool->segments, node)
        segment_close_if_idle(spool, LIST_ITEM(node, struct segment, link));
}

static bool read_all(struct recovery *r)
{
    r->found = memory_new(r->number_count * sizeof(*r->found));
    for (size_t i = 0; i < r->number_count; i++)
        if (!read_segment(r, r->numbers[i]))
            return false;
    return true;
}

bool spool_recover(struct spool *spool, struct text *error)
{
    struct recovery r = { .spool = spool, .error = error };
    uint64_t started_ms = clock_monotonic_ms();
    bool ok = list_segments(&r) && read_all(&r);
    if (ok) {
        spool->sequence = r.expected ? r.expected : 1;
        judge_ranges(&r);
        judge_messages(&r);
        remove_orphans(&r);
        take_prepared(&r);
        spool->recovery.segments = spool->segment_count;
        ok = resync_tail(&r) && prepare_first(&r);
    }
    if (ok) {
        /* what was read is durable now, so the first group may say so */
        spool->durable_sequence = spool->sequence - 1;
        close_sealed(spool);
    }
    spool->report = r.report;
    spool->recovery.report = text_slice(&spool->report);
    spool->recovery.duration_ms = clock_monotonic_ms() - started_ms;
    memory_free(r.numbers);
    memory_free(r.found);
    memory_free(r.bad);
    arena_free(&r.scratch);
    return ok;
}
