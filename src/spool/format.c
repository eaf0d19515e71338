#include "spool/format.h"
#include "base/crc32c.h"
#include <endian.h>

static const char segment_magic[8] = "PRSPOOL\n";
enum { TYPE_SHIFT = 56, HEADER_CRC_AT = SEGMENT_HEADER_USED - 4 };

static void put_u32(char *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static void put_u64(char *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

static uint32_t get_u32(const char *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return le32toh(value);
}

static uint64_t get_u64(const char *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

void segment_header_encode(char *to, const struct segment_header *h)
{
    memcpy(to, segment_magic, sizeof(segment_magic));
    put_u32(to + 8, h->version);
    put_u32(to + 12, h->loop);
    put_u64(to + 16, h->number);
    put_u64(to + 24, h->salt);
    put_u64(to + 32, h->octets);
    put_u64(to + 40, h->last_id);
    put_u64(to + 48, h->created_ms);
    put_u32(to + 56, 0);
    put_u32(to + HEADER_CRC_AT, crc32c(0, slice_from(to, HEADER_CRC_AT)));
}

enum header_error segment_header_decode(slice octets, struct segment_header *h)
{
    *h = (struct segment_header){ 0 };
    if (octets.len < SEGMENT_HEADER_USED || memcmp(octets.ptr, segment_magic, sizeof(segment_magic)) != 0)
        return HEADER_DAMAGED;
    h->version = get_u32(octets.ptr + 8);
    bool is_whole = get_u32(octets.ptr + HEADER_CRC_AT) == crc32c(0, slice_from(octets.ptr, HEADER_CRC_AT));
    /* Where a later version keeps its CRC is not known here: magic and a higher number are enough to keep off. */
    if (h->version != SEGMENT_VERSION)
        return is_whole || h->version > SEGMENT_VERSION ? HEADER_OTHER_VERSION : HEADER_DAMAGED;
    h->loop = get_u32(octets.ptr + 12);
    h->number = get_u64(octets.ptr + 16);
    h->salt = get_u64(octets.ptr + 24);
    h->octets = get_u64(octets.ptr + 32);
    h->last_id = get_u64(octets.ptr + 40);
    h->created_ms = get_u64(octets.ptr + 48);
    return is_whole ? HEADER_OK : HEADER_DAMAGED;
}

void record_header_encode(char *to, const struct record_header *h)
{
    put_u32(to, RECORD_MAGIC);
    put_u32(to + 4, h->crc);
    put_u32(to + 8, h->payload_octets);
    put_u32(to + 12, h->content_octets);
    put_u64(to + 16, h->salt);
    put_u64(to + 24, (uint64_t)h->type << TYPE_SHIFT | h->sequence);
}

bool record_header_decode(const char *octets, uint64_t salt, struct record_header *h)
{
    if (get_u32(octets) != RECORD_MAGIC || get_u64(octets + 16) != salt)
        return false;
    uint64_t last = get_u64(octets + 24);
    *h = (struct record_header){
        .crc = get_u32(octets + 4),
        .payload_octets = get_u32(octets + 8),
        .content_octets = get_u32(octets + 12),
        .salt = salt,
        .type = (enum record_type)(last >> TYPE_SHIFT),
        .sequence = last & (((uint64_t)1 << TYPE_SHIFT) - 1),
    };
    return h->type >= RECORD_GROUP && h->type < RECORD_TYPES && h->payload_octets % RECORD_ALIGN == 0 &&
           h->content_octets <= h->payload_octets &&
           (h->content_octets == 0 || h->type == RECORD_MESSAGE || h->type == RECORD_HOLE);
}

uint32_t record_crc(slice head) { return crc32c(0, slice_tail(head, 8)); }

void record_set_place(char *head, uint64_t salt, uint64_t sequence)
{
    uint64_t type = get_u64(head + 24) >> TYPE_SHIFT;
    put_u64(head + 16, salt);
    put_u64(head + 24, type << TYPE_SHIFT | sequence);
}

void record_set_crc(char *head, uint32_t crc) { put_u32(head + 4, crc); }

void message_facts_encode(char *to, const struct message_facts *f)
{
    put_u64(to, f->id);
    put_u64(to + 8, f->content_octets);
    put_u32(to + 16, f->header_octets);
    put_u32(to + 20, f->envelope_octets);
    put_u32(to + 24, f->states_octets);
    put_u32(to + 28, f->flags);
    put_u32(to + 32, f->content_crc);
    memset(to + 36, 0, MESSAGE_FACTS_OCTETS - 36);
}

void message_set_content_crc(char *head, uint32_t crc) { put_u32(head + RECORD_HEADER_OCTETS + 32, crc); }

bool message_facts_decode(slice head_payload, struct message_facts *f)
{
    if (head_payload.len < MESSAGE_FACTS_OCTETS)
        return false;
    const char *from = head_payload.ptr;
    *f = (struct message_facts){
        .id = get_u64(from),
        .content_octets = get_u64(from + 8),
        .header_octets = get_u32(from + 16),
        .envelope_octets = get_u32(from + 20),
        .states_octets = get_u32(from + 24),
        .flags = get_u32(from + 28),
        .content_crc = get_u32(from + 32),
    };
    slice rest = slice_tail(head_payload, MESSAGE_FACTS_OCTETS);
    if (f->envelope_octets > rest.len || f->states_octets > rest.len - f->envelope_octets)
        return false;
    f->envelope = slice_head(rest, f->envelope_octets);
    f->states = slice_head(slice_tail(rest, f->envelope_octets), f->states_octets);
    return f->header_octets <= f->content_octets;
}

void state_encode(struct text *to, const struct recipient_state *s)
{
    format_add_u32(to, s->attempts);
    format_add_u64(to, s->next_attempt_ms);
    text_add_byte(to, (char)s->is_final);
    outcome_encode(to, &s->last);
}

bool state_decode(struct arena *arena, slice *input, struct recipient_state *s)
{
    *s = (struct recipient_state){ 0 };
    if (!format_take_u32(input, &s->attempts) || !format_take_u64(input, &s->next_attempt_ms) || input->len == 0)
        return false;
    char is_final = input->ptr[0];
    *input = slice_tail(*input, 1);
    s->is_final = is_final == 1;
    return (is_final == 0 || is_final == 1) && outcome_decode(arena, input, &s->last);
}

void format_add_u32(struct text *to, uint32_t value)
{
    put_u32(text_reserve(to, sizeof(value)), value);
    to->len += sizeof(value);
}

void format_add_u64(struct text *to, uint64_t value)
{
    put_u64(text_reserve(to, sizeof(value)), value);
    to->len += sizeof(value);
}

bool format_take_u32(slice *input, uint32_t *value)
{
    if (input->len < sizeof(*value))
        return false;
    *value = get_u32(input->ptr);
    *input = slice_tail(*input, sizeof(*value));
    return true;
}

bool format_take_u64(slice *input, uint64_t *value)
{
    if (input->len < sizeof(*value))
        return false;
    *value = get_u64(input->ptr);
    *input = slice_tail(*input, sizeof(*value));
    return true;
}
