#pragma once
#include "base/text.h"
#include "smtp/outcome.h"
/*
 * format - the octets of a journal segment (docs/spool.md has the whole picture). Numbers are little-endian.
 *
 *   segment = header (4096 octets) *record
 *   record  = magic crc payload-octets content-octets salt type|sequence payload        (32 + payload, both times 8)
 *
 * The salt is drawn anew each time a file becomes a segment: what a reused file still holds of its former life, and
 * what a sender puts into his mail to look like a record, has another salt and is never taken for one.
 */
enum {
    SEGMENT_VERSION = 1,
    SEGMENT_HEADER_OCTETS = 4096, /* a block of its own: no write of records touches it */
    RECORD_HEADER_OCTETS = 32,
    RECORD_NUMBER_OCTETS = 40,    /* a record whose payload is one u64 */
    RECORD_ALIGN = 8,
};
struct segment_header {
    uint32_t version, loop;
    uint64_t number, salt, octets;
    uint64_t last_id;   /* ids up to this one were given before the segment was made */
    uint64_t created_ms;
};
enum header_error { HEADER_OK, HEADER_DAMAGED, HEADER_OTHER_VERSION };
/* `to` has room for the 64 octets that are not zero. */
enum { SEGMENT_HEADER_USED = 64 };
void segment_header_encode(char *to, const struct segment_header *);
enum header_error segment_header_decode(slice octets, struct segment_header *);

enum record_type {
    RECORD_GROUP = 1, /* begins what was written at once: u64 sequence up to which all was durable then */
    RECORD_MESSAGE,   /* facts, envelope, states of the recipients (empty: none tried), content */
    RECORD_OUTCOME,   /* u64 id, u32 recipient, u32 attempts, u64 next attempt, outcome */
    RECORD_DONE,      /* u64 id, u32 recipient, u32 action: a final outcome; its words stand in the event log */
    RECORD_CHANGE,    /* u64 id, u32 what, u32 0, u64 value */
    RECORD_END,       /* nothing follows in this segment: u64 sequence up to which what is missing never was promised */
    RECORD_HOLE,      /* made at a start over what a crash tore: u64 as above, then octets that mean nothing */
    RECORD_TYPES
};
struct record_header {
    enum record_type type;
    uint32_t crc, payload_octets, content_octets; /* content: the last octets of the payload, outside of `crc` */
    uint64_t salt, sequence;
};
enum { RECORD_MAGIC = 0x4c4a5250 }; /* "PRJL" */
void record_header_encode(char *to, const struct record_header *);
/* False: these 32 octets are no header of a record with this salt. */
bool record_header_decode(const char *octets, uint64_t salt, struct record_header *);
/* Of the record's octets without magic, CRC itself and content. `head`: from the magic on up to the content. */
uint32_t record_crc(slice head);
void record_set_place(char *head, uint64_t salt, uint64_t sequence); /* then the CRC has to be set */
void record_set_crc(char *head, uint32_t crc);

enum { MESSAGE_HELD = 1, MESSAGE_DELAY_WARNING = 2, MESSAGE_8BIT = 4, MESSAGE_LARGE = 8, MESSAGE_DAMAGED = 16 };
enum { MESSAGE_FACTS_OCTETS = 48 };
struct message_facts {
    uint64_t id, content_octets;
    uint32_t header_octets, envelope_octets, states_octets, flags, content_crc;
    slice envelope, states; /* decode: point into the record */
};
void message_facts_encode(char *to, const struct message_facts *);
void message_set_content_crc(char *head, uint32_t crc); /* head: of the whole record */
bool message_facts_decode(slice head_payload, struct message_facts *);

enum change { CHANGE_HELD, CHANGE_DELAY_WARNING, CHANGE_NEXT_ATTEMPT };
/* Durable state of one recipient, as it stands in the states of a message and in an outcome record. */
struct recipient_state {
    uint32_t attempts;
    uint64_t next_attempt_ms;
    bool is_final;
    struct outcome last;
};
void state_encode(struct text *, const struct recipient_state *);
bool state_decode(struct arena *, slice *input, struct recipient_state *);

void format_add_u32(struct text *, uint32_t);
void format_add_u64(struct text *, uint64_t);
bool format_take_u32(slice *input, uint32_t *);
bool format_take_u64(slice *input, uint64_t *);
