#pragma once
#include "base/map.h"
#include "io/work.h"
#include "spool/disk.h"
#include "spool/entry.h"
#include "spool/format.h"
#include <stdatomic.h>
/*
 * journal - what the files of spool/ share: the spool itself, its segments and its groups. No other room includes it.
 *
 *   append -> gathering --turn's end--> (waiting) --start--> flying --lane: write, sync--> finish -> callbacks
 *
 * A group gets its segment, offsets and sequence numbers when it starts. Groups are numbered in the order they gather,
 * finish in that order, and durable_group says up to which all is on disk.
 */
enum {
    FLYING_MAX = 6,                 /* groups in flight */
    FLIGHTS = FLYING_MAX + 1,       /* with a segment's end, which does not wait for its turn */
    START_GAP_MS = 1,               /* between two starts while a group is in flight: batching saves CPU */
    WRITE_WITHIN_MS = 10,           /* outcomes alone wait at most this long for a write (kill -9 loses little) */
    SYNC_WITHIN_MS = 1000,          /* and this long for a sync */
    GROUP_OCTETS_MAX = 8 << 20,
    SPARES_MAX = 2,                 /* finished segments kept for reuse */
    ZERO_CHUNK = 2 << 20,
    ZERO_AT_OPEN = 8 << 20,
    RETRY_ALLOCATION_MS = 1000,
    SEGMENT_OCTETS_MIN = 256 << 10,
    SHRUNK_OCTETS_MIN = 1 << 20,    /* on a full disk segments get smaller down to this */
    SMALL_OCTETS_MAX = 128 << 10,   /* of outcomes in one group: they fit every segment */
    ROOM_CHECK_MS = 1000,
    LARGE_FILE_CHUNK = 256 << 10,
    SPILL_OCTETS = 64 << 10,        /* while memory is short, content past this goes to a file of its own */
    NAME_OCTETS = 48,
};
#define SEGMENT_NAME_FORMAT "%016" PRIx64 ".journal"
#define SPARE_NAME_FORMAT "%016" PRIx64 ".spare"
#define LARGE_NAME_FORMAT "%016" PRIx64

struct segment {
    struct list link;        /* in spool->segments, oldest first */
    uint64_t number, salt, octets;
    uint64_t used;           /* where the next record goes */
    /* An open file description of its own for each flight, opened when it is needed first; -1: not open. The kernel
     * tells each description once of an octet it could not write, so a sync that shared one could take the error that
     * belongs to another's group. The first is the segment's own; none is open once it is sealed and no group writes. */
    int fds[FLIGHTS];
    bool is_flown[FLIGHTS];
    struct list live;        /* entries whose newest record stands here, oldest first */
    size_t live_count;
    uint64_t live_octets;
    uint64_t last_death;     /* number of the group with the record that ended the latest of its messages */
    unsigned readers;        /* lane jobs that read it */
    unsigned groups;         /* in flight to it */
    bool is_sealed;
};

/* One record of a group. Its header and all but the content stand in the group's heads. */
struct record {
    size_t head;             /* offset in heads */
    uint32_t head_octets, content_octets;
    uint32_t content_crc;    /* found on the lane */
    const char *content;
    bool is_dropped;         /* there was no room: not written */
};
struct pending {
    struct entry *entry;
    size_t record;
    uint64_t offset;         /* of the record in the segment, from the start on */
    spool_done *done;        /* NULL: a message moved forward */
    void *context;
};
struct waiter {
    spool_synced *done;
    void *context;
};
struct group {
    struct list link;
    struct spool *spool;
    uint64_t number;
    struct text heads;
    struct record *records;
    size_t record_count, record_capacity;
    struct pending *pending;
    size_t pending_count, pending_capacity;
    struct waiter *waiters;
    size_t waiter_count, waiter_capacity;
    uint64_t octets;         /* all of it on disk */
    uint64_t small_octets;   /* of it what is no message */
    size_t dropped_count;
    bool wants_sync, has_messages;
    /* from its start on */
    struct segment *segment;
    struct disk *disk;
    size_t flight;           /* which of the segment's descriptions it writes and syncs with */
    int fd;
    uint64_t offset, salt, first_sequence, sync_delay_ms;
    int error;               /* the lane's result, errno */
    atomic_bool has_run;
    bool is_posted;          /* to a lane, not run in place */
    bool is_complete;        /* the lane's answer came back to the loop */
};

struct load_waiter {
    struct load_waiter *next;
    spool_loaded *loaded;
    void *context;
    bool is_mover;           /* the compaction's own: not counted in loads */
};

struct removal {             /* of a large message's file, once the group is durable */
    uint64_t group, id;
};

struct spool {
    struct loop *loop;
    struct spool_params params;
    char *dir;
    struct disk *disk;
    int folder, large_folder, lock;
    uint64_t large_octets;   /* as configured, within what a segment can hold */
    uint64_t last_id;
    struct loop_hook turn_end;
    bool is_broken, is_closing;
    struct text trouble;     /* why it is broken */

    struct id_map index;
    uint64_t live_octets;    /* of live messages' records in the segments */
    uint64_t large_live_octets;

    struct list segments;    /* oldest first; the last one is current */
    size_t segment_count;
    uint64_t segments_octets; /* of the files in the list */
    struct segment *current, *next; /* current NULL: there was no room for any yet */
    uint64_t next_number;
    struct prepare *preparing;
    bool allocation_failed;  /* no room for a next segment: messages are refused, outcomes go on while they can */
    struct timer allocation_timer;
    uint64_t spares[SPARES_MAX];
    size_t spare_count;
    struct retire *retiring;

    struct group *gathering;
    struct list waiting, flying, idle_groups;
    size_t flying_count, idle_count;
    uint64_t next_group, written_group, durable_group;
    uint64_t sequence;       /* of the next record */
    uint64_t durable_sequence;
    uint64_t last_started_ms;
    struct timer write_timer, start_timer, sync_timer;

    struct list drafts;
    struct list jobs;        /* lane jobs other than groups, so that spool_close can wait for them */
    struct list resident;    /* entries whose content may be dropped, oldest first */
    uint64_t resident_octets;
    uint64_t memory_octets;  /* contents and drafts */
    uint64_t memory_peak;
    struct timer trim_timer;

    struct removal *removals;
    size_t removal_count, removal_capacity;

    unsigned moves;          /* of compaction, not durable yet */

    enum spool_result told;  /* the state that state_changed heard of last */
    void (*state_changed)(void *context, enum spool_result state, slice text);
    void *state_context;
    struct timer state_timer;
    uint64_t room_checked_ms, free_octets;
    bool room_is_known;
    uint64_t groups, syncs;
    struct spool_recovery recovery;
    struct text report;      /* of the recovery */
};

/* A piece of work on the disk lane that spool_close can wait for. `run` on the lane, `done` on the loop. */
struct job {
    struct list link;
    struct spool *spool;
    loop_function *run, *done; /* of the job's address */
    atomic_bool has_run;
    bool is_detached;          /* done was called by spool_close: the loop's call only frees */
};
void spool_job_start(struct spool *, struct job *, loop_function *run, loop_function *done);
void spool_jobs_abandon(struct spool *); /* at the end: waits for all, then their done with is_closing set */

/* group.c */
struct group *group_gather(struct spool *); /* the gathering one, with room for a record of any size that may come */
/* A record without content; the payload is what the caller adds to the text until group_end_record. */
struct text *group_begin_record(struct spool *, size_t *start);
void group_end_record(struct spool *, enum record_type, size_t start);
void group_add_message(struct spool *, struct entry *, spool_done *, void *context);
void group_add_waiter(struct spool *, spool_synced *done, void *context);
void groups_turn_end(void *spool);
void groups_start(struct spool *);         /* whatever may start now */
void groups_finish_flying(struct spool *); /* takes over what the lanes are done with */
void groups_drain(struct spool *);         /* blocks: writes and syncs all there is */
void groups_free(struct spool *);
void spool_break(struct spool *, const char *what, int error);

/* spool.c */
void spool_look_at_state(struct spool *); /* something changed: tell of it soon */

/* segment.c */
struct segment *segment_new(uint64_t number, uint64_t salt, uint64_t octets, int fd);
void segment_free(struct spool *, struct segment *);
void segment_close_if_idle(struct spool *, struct segment *);
/* The first flight that is free, its description open. False: none, or too many files are open; the first one, which is
 * always open, becomes free again. */
bool segment_find_flight(struct spool *, struct segment *, size_t *flight);
void segment_add_live(struct spool *, struct segment *, struct entry *);
void segment_remove_live(struct spool *, struct entry *, uint64_t death_group);
void segment_activate_next(struct spool *);
void segments_prepare(struct spool *);     /* gets the next one ready on the lane, when there is none */
/* Blocking. Without room for any it goes on trying by itself: no error, and no next segment. 0 or an errno value. */
int segment_prepare_now(struct spool *);
void segments_retire(struct spool *);      /* removes or keeps for reuse what is finished at the old end */

/* content.c */
void spool_content_keep(struct spool *, struct entry *); /* not to be dropped for now */
void spool_content_drop(struct spool *, struct entry *);
void spool_content_settle(struct spool *, struct entry *); /* after a use has ended: keep, drop, or free the entry */
void spool_content_keep_within_memory(struct spool *);
void spool_content_load_for_move(struct spool *, struct entry *);
void spool_content_arm_trim(struct spool *);

/* compact.c */
void spool_compact(struct spool *);
void spool_compact_loaded(struct spool *, struct entry *, bool ok);
void spool_compact_gave_up(struct spool *, struct entry *); /* it stays where it stands; a later compaction tries anew */
void spool_compact_moved(struct spool *, struct entry *, struct segment *to, uint64_t offset, uint32_t record_octets);

/* draft.c */
void spool_large_remove_later(struct spool *, uint64_t id, uint64_t group);
void spool_large_remove_due(struct spool *);
void spool_drafts_free(struct spool *);

/* recover.c */
bool spool_recover(struct spool *, struct text *error);
