#pragma once
#include "base/arena.h"
#include "base/map.h"
#include "schedule/schedule.h"
/*
 * inside - what the files of schedule/ share; nobody else includes it.
 *
 *   schedule.c  the doors: add, the operator's wishes, reload, stop
 *   errand.c     a message: which of its recipients wait for what, and when something is to be done about it
 *   queue.c     a destination: its lanes of jobs, taking and waking
 *   backoff.c   a destination that failed: suspension, probe, telling those who wait
 *   settle.c    outcomes: into the journal and the event log
 *   notice.c    outcomes that have to be told to the sender first
 *
 * A message's way:  errand -> jobs (one for each destination) -> lane of a queue -> task -> outcomes -> final, or
 * waiting in the heap for the next attempt, and then a job again. Memory:           a deferred message costs an errand
 * (about 100 octets) and its place in the heap; one whose destination is busy or suspended a job besides (about 80).
 * Tasks exist only while deliver/ works on them. Clocks:           everything in here is monotonic; wall clock only
 * where it goes to the journal, events and people.
 */
enum {
    JOB_RECIPIENTS_MAX = 100,          /* of one transaction: RFC 5321 §4.5.3.1.8 promises no more */
    JOB_MAILBOX_RECIPIENTS_MAX = 1000, /* no transaction there; bounded for the size of a task */
    CONNECTIONS_FIRST = 4,             /* once the first one has shown that the destination answers */
    CONNECTIONS_ALL_MAX = 2000,        /* of one loop */
    REFUSALS_MAX = 10, /* tasks in a row refused before any recipient was looked at, one connection left */
    FRUITLESS_MAX = 3, /* connections in a row that ended without deciding about any recipient */
    NOTICES_AT_ONCE = 16,
    NOTICES_WAITING_MAX = 1000, /* past it nothing more is expired or failed in bulk until some are made */
    SLICE = 256,                /* messages dealt with in one turn when there are many */
};
#define AGAIN_MS                                                                                                       \
    MINUTES(1) /* until a report is asked for again, and what seemed about to be tried is looked at again */
#define NEVER UINT64_MAX

enum recipient_state {
    RECIPIENT_WAITING,   /* for its next attempt */
    RECIPIENT_QUEUED,    /* in a job */
    RECIPIENT_ACTIVE,    /* in a task that deliver/ has */
    RECIPIENT_REPORTING, /* in a notice */
    RECIPIENT_FINAL,
};

struct errand_recipient {
    uint64_t due_ms; /* monotonic: its next attempt; the journal's wall clock time counts only after a restart */
    uint8_t state;   /* enum recipient_state */
};
/* A message. */
struct errand {
    struct heap_node due; /* when to look at it again */
    struct list all;
    struct spool_message *message;
    struct list jobs;
    int64_t born_ms; /* acceptance on the monotonic clock: may be before its start */
    uint32_t active; /* tasks */
    bool is_removed; /* by an operator, while a task or notice was under way */
    bool is_overdue; /* a warning was due at the last look, but it seemed about to be tried */
    struct errand_recipient recipients[];
};

enum lane { LANE_FRESH, LANE_RETRIED, LANES };
/* Recipients of one message that wait for one destination. */
struct job {
    struct list queued;
    struct list siblings; /* of the same errand */
    struct errand *errand;
    struct queue *queue;
    uint32_t count;
    uint16_t capacity;
    uint8_t lane; /* enum lane */
    uint32_t recipients[];
};

/* A destination: what wire's deliver side calls `destination` or `handle`. */
struct queue {
    struct schedule *schedule;
    struct destination destination; /* slices in `memory` */
    struct arena memory;
    struct list lanes[LANES];
    size_t waiting[LANES];
    unsigned fresh_in_a_row; /* since the last one of the other lane */
    struct list kicked;      /* in schedule->kicked: look at it at the end of this turn */
    struct list hungry;      /* in schedule->hungry: wants a connection, but there are CONNECTIONS_ALL_MAX */
    struct list draining;    /* in schedule->draining: jobs are told or failed in slices */
    struct list gathered;    /* in schedule->gathered */
    struct job *gathering;   /* while an errand's recipients are grouped */
    unsigned generation;     /* of the configuration it was last compared with */
    struct connection **connections;
    size_t connection_count, connection_capacity;
    size_t active;           /* tasks */
    size_t limit, successes; /* connections wanted at most; successes since it was last raised */
    unsigned failures;       /* suspensions in a row */
    unsigned fruitless;      /* connections in a row */
    unsigned refusals;       /* tasks in a row that were not let in at all */
    bool is_known;           /* in schedule->queues; false once a changed configuration has replaced it */
    bool answers;            /* a connection got as far as asking for mail since the last suspension */
    bool is_suspended;       /* until an attempt is answered; one at a time meanwhile */
    bool is_doomed;          /* a permanent failure holds for all that waits */
    struct outcome failure;  /* the last, of the destination as a whole; slices in failure_memory */
    struct arena failure_memory;
    struct timer probe; /* set: suspended and waiting */
    uint64_t probe_wall_ms;
};

/* Outcomes on their way to the sender. */
struct notice {
    struct list queued;
    struct schedule *schedule;
    struct errand *errand;
    int kind;        /* as enum report_kind */
    bool is_attempt; /* comes from an attempt that is not counted in the journal yet */
    bool is_running;
    struct timer again;
    struct arena memory;
    slice destination; /* its name, for the events */
    uint32_t *recipients;
    struct outcome *outcomes;
    size_t count, capacity;
};
enum { NOTICE_FAILED, NOTICE_DELAYED, NOTICE_RELAYED };

struct schedule {
    struct schedule_doors doors;
    struct config *config;
    struct directory *directory;
    struct list errands;
    struct heap due;
    struct timer due_timer;
    uint64_t due_at;   /* what due_timer is set for: may be too early, never too late */
    struct map queues; /* by destination.key */
    struct list kicked, hungry, draining;
    struct loop_hook turn_end;
    struct timer kick_timer, drain_timer, reroute_timer;
    struct list rerouting;                /* jobs whose routes a new configuration may have changed */
    struct list gathered;                 /* queues */
    struct list notices_waiting, notices; /* not asked for yet; asked for, or to be asked again */
    size_t notices_running, notices_waiting_count;
    struct id_map removed_by; /* message id -> operator's name, a NUL-terminated copy */
    size_t connections, active;
    unsigned generation; /* grows with each configuration */
    struct arena scratch;
    struct text words;
    bool is_stopping;
    struct timer patience;
    loop_function *stopped;
    void *stopped_context;
};

uint64_t schedule_now_ms(const struct schedule *);
uint64_t schedule_wall_ms(const struct schedule *);
void schedule_ended_something(struct schedule *); /* a stop may be complete now */
static inline bool schedule_is_held(const struct schedule *s) { return s->config->delivery.hold; }

/* errand.c */
struct errand *errand_new(struct schedule *, struct spool_message *);
void errand_free(struct schedule *, struct errand *);
/* Recipients whose time has come become jobs; then the errand's next look is planned. */
void errand_go_on(struct schedule *, struct errand *);
void errand_look_soon(struct schedule *, struct errand *); /* in a turn to come */
/* Jobs not yet taken are undone, their recipients wait again. */
void errand_undo_job(struct errand *, struct job *);
void errand_undo_jobs(struct errand *);
/* What follows after a task or notice has ended: removal that was asked for, or going on. */
void errand_settled(struct schedule *, struct errand *);
/* Waiting recipients are final now. True: the errand is gone. */
MUST_CHECK bool errand_remove_waiting(struct schedule *, struct errand *, slice by);
uint64_t errand_wait_ms(const struct schedule *, const struct errand *, unsigned attempts); /* until the next attempt */
bool errand_is_expired(const struct schedule *, const struct errand *);

/* queue.c */
struct queue *queue_for(struct schedule *, const struct destination *);
size_t queue_job_limit(const struct queue *);
struct job *job_new(struct errand *, struct queue *, uint32_t capacity);
void job_enqueue(struct job *, bool in_front);
void job_unlink(
    struct job *); /* out of its lane and its errand; then it is the caller's to free, the queue may be gone */
void queue_kick(struct queue *); /* looked at when the turn ends */
void queue_kick_all(struct schedule *);
void schedule_kick(void *schedule);
void queue_release(struct queue *); /* frees it when nothing needs it any more */
void queue_free(struct queue *);
struct task *queue_next_task(void *schedule, void *queue);
void queue_closed(void *schedule, void *queue, struct connection *, const struct connection_end *);
void queue_count_outcomes(struct queue *, const struct task *);

/* backoff.c */
void queue_suspend(struct queue *, const struct outcome *);
void queue_failed(struct queue *, const struct outcome *);
void queue_doomed(struct queue *, const struct outcome *);
void queue_answers(struct queue *);
void queue_forgive(struct queue *);
void queue_drain(struct queue *); /* if it is suspended or doomed */
void schedule_drain(void *schedule);

/* settle.c */
void outcome_expire(struct outcome *);
void settle_task(void *schedule, void *queue, struct task *);
/* True: the message is gone, and its errand. */
bool settle_final(struct schedule *, struct errand *, uint32_t recipient, const struct outcome *);
bool settle_failed(const struct notice *, size_t place);
void settle_deferred(struct schedule *, struct errand *, uint32_t recipient, const struct outcome *,
                     uint64_t next_wall_ms, const struct queue *);
bool settle_removed(struct schedule *, struct errand *, uint32_t recipient, slice by);

/* notice.c */
struct notice *notice_new(struct schedule *, struct errand *, int kind, slice destination);
void notice_add(struct notice *, uint32_t recipient, const struct outcome *); /* copied; the recipient is REPORTING */
void notice_send(struct notice *);
void notices_start(struct schedule *);
void notices_cancel(struct schedule *, struct errand *); /* those not running; their recipients wait again */
void notice_free(struct notice *);
static inline bool notices_are_many(const struct schedule *s) { return s->notices_waiting_count > NOTICES_WAITING_MAX; }
