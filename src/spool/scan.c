#include "spool/scan.h"
#include "base/crc32c.h"
#include "base/memory.h"

enum { WINDOW_OCTETS = 1 << 20, DISK_BLOCK = 4096 };

struct window {
    struct disk *disk;
    int fd;
    uint64_t file_octets, offset;
    char *octets;
    size_t len, capacity;
    uint64_t unreadable_octets;
};

/* Block by block, where a whole piece cannot be read; what cannot be read is zeros to us. */
static void read_blocks(struct window *w, size_t wanted)
{
    for (size_t at = 0; at < wanted; at += DISK_BLOCK) {
        size_t octets = size_min(DISK_BLOCK, wanted - at), got;
        if (disk_read_all(w->disk, w->fd, w->octets + at, octets, w->offset + at, &got) != 0) {
            w->unreadable_octets += octets - got;
            memset(w->octets + at + got, 0, octets - got);
        } else {
            memset(w->octets + at + got, 0, octets - got);
        }
    }
    w->len = wanted;
}

/* `octets` at the offset, which must lie within the file. */
static const char *window_at(struct window *w, uint64_t offset, size_t octets)
{
    if (offset >= w->offset && offset - w->offset <= w->len && w->len - (offset - w->offset) >= octets)
        return w->octets + (offset - w->offset);
    uint64_t rest = w->file_octets - offset;
    size_t wanted = size_max(octets, WINDOW_OCTETS), got;
    wanted = rest < wanted ? (size_t)rest : wanted;
    if (w->capacity < wanted) {
        w->octets = memory_resize(w->octets, wanted);
        w->capacity = wanted;
    }
    w->offset = offset;
    w->len = wanted;
    if (disk_read_all(w->disk, w->fd, w->octets, wanted, offset, &got) != 0)
        read_blocks(w, wanted);
    else
        memset(w->octets + got, 0, wanted - got); /* a file shorter than its segment */
    return w->octets;
}

static bool content_is_whole(struct window *w, const struct record_header *h, slice payload, uint64_t at)
{
    struct message_facts facts;
    if (h->type != RECORD_MESSAGE || h->content_octets == 0)
        return true;
    if (!message_facts_decode(payload, &facts))
        return false;
    uint32_t crc = 0;
    for (uint64_t left = h->content_octets; left > 0;) {
        size_t piece = left < WINDOW_OCTETS ? (size_t)left : WINDOW_OCTETS;
        crc = crc32c(crc, slice_from(window_at(w, at, piece), piece));
        at += piece;
        left -= piece;
    }
    return crc == facts.content_crc;
}

/* A whole record at the offset. The head stays readable: content is looked at first, then the head once more. */
static bool read_record(struct window *w, uint64_t offset, const struct record_header *h, struct scan_record *r)
{
    size_t head_octets = RECORD_HEADER_OCTETS + (h->payload_octets - h->content_octets);
    const char *head = window_at(w, offset, head_octets);
    if (record_crc(slice_from(head, head_octets)) != h->crc)
        return false;
    slice payload = slice_from(head + RECORD_HEADER_OCTETS, head_octets - RECORD_HEADER_OCTETS);
    r->content_is_whole = content_is_whole(w, h, payload, offset + head_octets);
    head = window_at(w, offset, head_octets);
    r->header = *h;
    r->offset = offset;
    r->octets = RECORD_HEADER_OCTETS + (uint64_t)h->payload_octets;
    r->payload = slice_from(head + RECORD_HEADER_OCTETS, head_octets - RECORD_HEADER_OCTETS);
    return true;
}

static void note_torn(struct scan_result *result, const struct record_header *h, uint64_t room)
{
    uint64_t octets = RECORD_HEADER_OCTETS + (uint64_t)h->payload_octets;
    result->torn_octets += octets < room ? octets : room;
    if (result->torn_sequence == 0 || h->sequence < result->torn_sequence)
        result->torn_sequence = h->sequence;
}

bool scan_segment(struct disk *disk, int fd, uint64_t octets, uint64_t salt, scan_visit *visit, void *context,
                  struct scan_result *result)
{
    struct window w = { .disk = disk, .fd = fd, .file_octets = octets };
    *result = (struct scan_result){ .end = SEGMENT_HEADER_OCTETS };
    uint64_t at = SEGMENT_HEADER_OCTETS;
    bool goes_on = true;
    while (goes_on && !result->has_end && at + RECORD_HEADER_OCTETS <= octets) {
        struct record_header h;
        struct scan_record r;
        uint64_t room = octets - at - RECORD_HEADER_OCTETS;
        bool is_ours = record_header_decode(window_at(&w, at, RECORD_HEADER_OCTETS), salt, &h);
        if (!is_ours || h.payload_octets > room || !read_record(&w, at, &h, &r)) {
            if (is_ours)
                note_torn(result, &h, octets - at);
            at += RECORD_ALIGN;
            continue;
        }
        r.bad_offset = result->end;
        goes_on = visit(context, &r);
        at += r.octets;
        result->records++;
        result->end = at;
        result->last_sequence = h.sequence;
        result->has_end = h.type == RECORD_END;
        result->torn_octets = result->torn_sequence = 0; /* the visitor was told */
    }
    result->unreadable_octets = w.unreadable_octets;
    memory_free(w.octets);
    return goes_on;
}
