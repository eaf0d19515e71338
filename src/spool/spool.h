#pragma once
#include "base/list.h"
#include "io/loop.h"
#include "smtp/envelope.h"
#include "smtp/outcome.h"
/*
 * spool - durable store of the messages we have taken responsibility for: an append-only journal in segments, one
 * for each loop (docs/spool.md has the format and why each promise holds).
 *
 * Promises: once `done` reports SPOOL_OK, message and envelope survive a power cut, and only then may the session
 *           answer 250 (RFC 5321 §4.2.5, §6.1). A message is removed only after every recipient's final outcome is
 *           in the journal. After a failed write or fdatasync nothing more is acknowledged (SPOOL_BROKEN).
 * Speed:    what a loop's turn appends is written together; while a group is being synced the next one gathers; further
 *           groups may be in flight when a sync is slow. Outcomes wait for the next group (at most 1 s).
 * Threads:  call from the owning loop; `done` and the like run on the same loop, never inside the call.
 * Memory:   nothing passed in is kept after the call returns.
 */
struct spool;
struct spool_draft; /* a message still being received */

enum spool_result {
    SPOOL_OK,
    SPOOL_FULL,   /* no space, or below the reserve, or memory is short: 452, nothing is broken */
    SPOOL_BROKEN, /* the journal failed; 451 until the process is started again */
    SPOOL_DAMAGED, /* spool_loaded only: the content of this one message is lost (the disk gives back other octets than
                      were written). Trying again does not help: fail its recipients, so that the sender is told */
};

struct disk;
struct spool_params {
    const char *dir;          /* this journal's own folder, made when missing ("spool/0") */
    unsigned loop_number;     /* 0..63, part of the ids */
    uint64_t segment_octets, large_octets, memory_octets, reserve_octets;
    uint64_t sync_delay_ms;   /* for tests */
    struct disk *disk;        /* NULL: the real one (spool/disk.h; tests put theirs in between) */
};

/* Durable state of one recipient. */
struct spool_recipient {
    struct outcome last;      /* action ACTION_NONE: not tried yet */
    uint32_t attempts;
    uint64_t next_attempt_ms; /* wall clock; 0: at once */
    bool is_final;
};

/* A live message. Owned by the spool; lives until every recipient is final (spool_record says when). */
struct spool_message {
    uint64_t id;                   /* grows with time; 16 hex digits in logs and headers */
    struct envelope *envelope;
    struct spool_recipient *recipients; /* as many as the envelope has, same order */
    size_t open_recipients;        /* not final yet */
    uint64_t content_octets;       /* as it is sent, before dot transparency */
    uint32_t header_octets;        /* of the header section incl. the empty line */
    bool held;                     /* by an operator: not tried until released */
    bool has_delay_warning;        /* the sender was told (RFC 3464 "delayed") */
    bool has_8bit;                 /* some octet of the content is >= 0x80 */
    void *schedule;                /* the schedule's own, NULL at first */
};

/* Opens, locks (a second server is refused), recovers. NULL and *error (text for people) on failure. Blocks: at start only. */
MUST_CHECK struct spool *spool_open(struct loop *, const struct spool_params *, struct text *error);
/* Calls back for every live message, oldest first. */
void spool_each(struct spool *, void (*visit)(void *context, struct spool_message *), void *context);
struct spool_message *spool_find(struct spool *, uint64_t id); /* NULL: not (any more) here */
size_t spool_count(const struct spool *);
bool spool_is_broken(const struct spool *);
/* SPOOL_OK when a new message may be taken now: asked at MAIL with the announced SIZE (0: unknown). */
enum spool_result spool_has_room(struct spool *, uint64_t octets);

/* Tells of changes, from the loop and never inside a call: SPOOL_FULL (text: free and kept free, for people), back to
 * SPOOL_OK, SPOOL_BROKEN (text: what failed; it stays so until the spool is opened anew). */
void spool_on_state(struct spool *, void (*changed)(void *context, enum spool_result state, slice text), void *context);

/* A draft's id is fixed at the start, for Received: and the events. */
struct spool_draft *spool_begin(struct spool *);
uint64_t spool_draft_id(const struct spool_draft *);
/* Content in order, CRLF lines, without dot transparency. */
MUST_CHECK enum spool_result spool_append(struct spool_draft *, slice content);
uint64_t spool_draft_octets(const struct spool_draft *);
typedef void spool_done(void *context, enum spool_result, struct spool_message *); /* message NULL unless SPOOL_OK */
/* The draft is used up, whatever the result. header_octets: see spool_message. */
void spool_commit(struct spool_draft *, const struct envelope *, uint32_t header_octets, spool_done *, void *context);
void spool_abandon(struct spool_draft *);

/* Content. Fresh messages are in memory; older ones are read on the disk lane. Held until released. */
struct spool_content {
    slice octets;             /* whole content, valid until spool_release; empty with fd >= 0 */
    int fd;                   /* a large message: its own file (do not close), or -1 */
    uint64_t file_octets;     /* with fd: the content's length; it starts at offset 0 */
};
typedef void spool_loaded(void *context, enum spool_result, const struct spool_content *);
/* The message must stay live and is kept in memory until spool_release, once for each spool_load. When the content is
 * at hand, *now is filled and true returned (the usual case); else `loaded` comes later. */
bool spool_load(struct spool *, struct spool_message *, struct spool_content *now, spool_loaded *, void *context);
void spool_release(struct spool *, struct spool_message *);

/* An attempt's result for one recipient: kept in memory at once, in the journal with the next group. For a final action
 * (outcome_is_final) the recipient is finished; with its last recipient the message is gone: true, and the pointer is not
 * to be used any more (if it is loaded, it goes with the last spool_release). next_attempt_ms: for ACTION_DELAYED. */
bool spool_record(struct spool *, struct spool_message *, size_t recipient, const struct outcome *, uint64_t next_attempt_ms);
/* Operator's and schedule's changes. */
void spool_set_held(struct spool *, struct spool_message *, bool held);
void spool_set_delay_warning(struct spool *, struct spool_message *);
void spool_set_next_attempt(struct spool *, struct spool_message *, uint64_t next_attempt_ms); /* all open recipients */
void spool_set_reserve(struct spool *, uint64_t octets);

/* SPOOL_OK once all that was recorded so far is on disk; SPOOL_BROKEN: it is not, or nobody knows. */
typedef void spool_synced(void *context, enum spool_result);
void spool_sync(struct spool *, spool_synced *done, void *context);
/* Writes what is open, ends the lanes, seals: a clean end. Drafts are abandoned. Blocks for the last sync. */
void spool_close(struct spool *);

struct spool_statistics {
    uint64_t messages, live_octets, segments, disk_octets, groups, syncs, memory_octets;
};
void spool_get_statistics(const struct spool *, struct spool_statistics *);
/* Why it is broken, for people; "" while it is not. */
const char *spool_trouble(struct spool *);

/* What spool_open found. `damaged` octets or messages are losses of the disk that were proven, to be told loudly; torn
 * octets are what a crash leaves of groups that were never acknowledged. */
struct spool_recovery {
    uint64_t messages, segments, records, torn_octets, damaged_octets, damaged_messages, orphans_removed;
    uint64_t duration_ms;
    slice report; /* lines for people about what is damaged and where, empty when all is well; lives as long as the spool */
};
void spool_get_recovery(const struct spool *, struct spool_recovery *);

#define MESSAGE_ID_FORMAT "%016" PRIx64
void text_add_message_id(struct text *, uint64_t id);
MUST_CHECK bool message_id_parse(slice, uint64_t *id);
