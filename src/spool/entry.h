#pragma once
#include "spool/spool.h"
/*
 * entry - a message of the live index: one allocation that holds its envelope and the recipients' states, and what
 * the spool knows of where its content is. Used by the files of spool/ only.
 */
struct segment;
struct load_waiter;
struct entry {
    struct spool_message message;
    struct list in_segment;     /* in its segment's live list */
    struct list resident;       /* in the spool's list of contents that may be dropped */
    struct segment *segment;    /* where its newest durable record stands; NULL: not bound yet */
    uint64_t offset;            /* of the record in the segment */
    uint32_t record_octets;
    uint32_t content_crc;
    uint32_t envelope_octets_max; /* what the encoded envelope does not exceed */
    char *content;              /* NULL: not in memory */
    size_t content_capacity;
    struct load_waiter *waiters;
    void **outcome_memory;      /* for each recipient what the slices of `last` point into */
    size_t untried;             /* recipients that have had no attempt */
    uint32_t loads;             /* spool_load without spool_release */
    uint32_t writing;           /* groups in flight that hold its content */
    int large_fd;               /* open while loaded; -1 */
    bool is_large, is_reading, is_moving, is_finished;
    bool is_damaged;            /* envelope and states are whole, the content is lost */
    bool is_torn;               /* recovery only: the record's content is not whole */
    uint64_t sequence;          /* recovery only: of its record */
    bool large_is_checked;      /* its file's CRC was verified, or it was written by this process */
};
static inline struct entry *entry_of(struct spool_message *m) { return CONTAINER_OF(m, struct entry, message); }
struct entry *entry_new(uint64_t id, const struct envelope *);
/* Takes over state and a copy of the outcome's texts, shortened to what a report can use. */
void entry_set_outcome(struct entry *, size_t recipient, const struct outcome *);
void entry_free(struct entry *); /* with its content */

enum { OUTCOME_TEXT_MAX = 2048 };
struct outcome outcome_shortened(const struct outcome *, size_t text_max);
