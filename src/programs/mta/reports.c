#include "programs/mta/reports.h"
#include "base/memory.h"
#include "report/report.h"
#include <unistd.h>

struct reports {
    struct loop *loop;
    struct spool *spool;
    struct event_log *events;
    struct text hostname;
    struct directory *directory;
    void (*accepted)(void *schedule, struct spool_message *);
    void *schedule;
};

/* One report being made; ends with `done`. */
struct job {
    struct reports *reports;
    enum report_kind kind;
    struct spool_message *message;
    uint32_t *recipients;
    struct outcome *outcomes;
    size_t count;
    uint64_t give_up_ms;
    void (*done)(void *context, bool ok);
    void *context;
    bool ok;
    struct arena memory;
};

static const char *const kind_names[] = {
    [REPORT_FAILED] = "failed", [REPORT_DELAYED] = "delayed", [REPORT_RELAYED] = "relayed"
};

struct reports *reports_new(struct loop *loop, struct spool *spool, struct event_log *events)
{
    struct reports *reports = MEMORY_NEW(struct reports);
    reports->loop = loop;
    reports->spool = spool;
    reports->events = events;
    return reports;
}

void reports_set_accepted(struct reports *reports, void (*accepted)(void *, struct spool_message *), void *schedule)
{
    reports->accepted = accepted;
    reports->schedule = schedule;
}

void reports_configure(struct reports *reports, slice hostname, struct directory *directory)
{
    text_clear(&reports->hostname);
    text_add(&reports->hostname, hostname);
    struct directory *old = reports->directory;
    reports->directory = directory_hold(directory);
    if (old)
        directory_release(old);
}

void reports_free(struct reports *reports)
{
    if (reports->directory)
        directory_release(reports->directory);
    text_free(&reports->hostname);
    memory_free(reports);
}

static void tell_done(void *context)
{
    struct job *job = context;
    job->done(job->context, job->ok);
    arena_free(&job->memory);
    memory_free(job);
}

/* Later, never inside the call that asked. */
static void end_job(struct job *job, bool ok)
{
    job->ok = ok;
    loop_post(job->reports->loop, tell_done, job);
}

static void drop(struct job *job, const char *reason)
{
    event_start(job->reports->events, EVENT_report_dropped);
    event_id(job->reports->events, "about", job->message->id);
    event_cstr(job->reports->events, "kind", kind_names[job->kind]);
    event_cstr(job->reports->events, "reason", reason);
    event_end(job->reports->events);
    end_job(job, true);
}

static void on_committed(void *context, enum spool_result result, struct spool_message *report)
{
    struct job *job = context;
    struct reports *reports = job->reports;
    if (result == SPOOL_OK) {
        struct text recipient = { 0 };
        text_add_mailbox(&recipient, job->message->envelope->reverse_path);
        event_start(reports->events, EVENT_report_made);
        event_id(reports->events, "message", report->id);
        event_id(reports->events, "about", job->message->id);
        event_cstr(reports->events, "kind", kind_names[job->kind]);
        event_text(reports->events, "recipient", text_slice(&recipient));
        event_end(reports->events);
        text_free(&recipient);
        reports->accepted(reports->schedule, report);
    }
    end_job(job, result == SPOOL_OK);
}

/* The sender's address may be an alias of ours; an address of ours that nobody has gets no report. */
static size_t find_targets(struct job *job, struct path **targets)
{
    struct path sender = job->message->envelope->reverse_path;
    struct directory_result found = directory_find(job->reports->directory, sender, &job->memory);
    switch (found.answer) {
    case DIRECTORY_MAILBOX:
    case DIRECTORY_ALIAS:
        *targets = found.targets;
        return found.target_count;
    case DIRECTORY_UNKNOWN:
    case DIRECTORY_LOOP:
        return 0;
    case DIRECTORY_OUTSIDE:
        break;
    }
    *targets = ARENA_NEW(&job->memory, struct path);
    **targets = sender;
    return 1;
}

static void commit(struct job *job, slice content)
{
    struct reports *reports = job->reports;
    struct path *targets = NULL;
    size_t target_count = find_targets(job, &targets);
    if (!target_count) {
        drop(job, "the sender is an address of ours that does not exist");
        return;
    }
    struct envelope envelope = { .listener = SLICE("local"), .arrived_ms = loop_wall_ms(reports->loop) };
    envelope.recipients = ARENA_NEW_ARRAY(&job->memory, struct recipient, target_count);
    envelope.recipient_count = target_count;
    for (size_t i = 0; i < target_count; i++)
        envelope.recipients[i] =
            (struct recipient){ .forward_path = targets[i], .original = job->message->envelope->reverse_path };
    struct spool_draft *draft = spool_begin(reports->spool);
    if (!draft) {
        end_job(job, false);
        return;
    }
    struct report_params params = {
        .kind = job->kind,
        .hostname = text_slice(&reports->hostname),
        .message = job->message,
        .recipients = job->recipients,
        .outcomes = job->outcomes,
        .recipient_count = job->count,
        .content = content,
        .now_ms = envelope.arrived_ms,
        .give_up_ms = job->give_up_ms,
        .report_id = spool_draft_id(draft),
    };
    struct text report = { 0 };
    uint32_t header_octets = 0;
    report_make(&report, &header_octets, &params);
    if (!slice_is_ascii(text_slice(&report)))
        envelope.body = BODY_8BITMIME;
    if (spool_append(draft, text_slice(&report)) == SPOOL_OK) {
        spool_commit(draft, &envelope, header_octets, on_committed, job);
    } else {
        spool_abandon(draft);
        end_job(job, false);
    }
    text_free(&report);
}

/* A large message is in a file: its header section is enough for the report. */
static slice read_header_section(struct job *job, int fd)
{
    size_t octets = job->message->header_octets;
    char *buffer = arena_alloc(&job->memory, octets ? octets : 1);
    ssize_t got = pread(fd, buffer, octets, 0);
    return slice_from(buffer, got > 0 ? (size_t)got : 0);
}

static void on_loaded(void *context, enum spool_result result, const struct spool_content *content)
{
    struct job *job = context;
    if (result == SPOOL_OK) {
        commit(job, content->fd >= 0 ? read_header_section(job, content->fd) : content->octets);
        spool_release(job->reports->spool, job->message);
    } else if (result == SPOOL_DAMAGED) {
        commit(job, (slice){ 0 }); /* lost for good: the sender is told without it */
    } else {
        end_job(job, false);
    }
}

static size_t keep_due(struct job *job, const uint32_t *recipients, const struct outcome *outcomes, size_t count)
{
    job->recipients = ARENA_NEW_ARRAY(&job->memory, uint32_t, count);
    job->outcomes = ARENA_NEW_ARRAY(&job->memory, struct outcome, count);
    for (size_t i = 0; i < count; i++) {
        if (!report_is_due(job->kind, job->message, recipients[i]))
            continue;
        job->recipients[job->count] = recipients[i];
        outcome_copy(&job->memory, &job->outcomes[job->count], &outcomes[i]);
        job->count++;
    }
    return job->count;
}

void reports_make(void *context, int kind, struct spool_message *message, const uint32_t *recipients,
                  const struct outcome *outcomes, size_t count, uint64_t give_up_ms,
                  void (*done)(void *context, bool ok), void *done_context)
{
    struct job *job = MEMORY_NEW(struct job);
    *job = (struct job){ .reports = context,
                         .kind = (enum report_kind)kind,
                         .message = message,
                         .give_up_ms = give_up_ms,
                         .done = done,
                         .context = done_context };
    if (!keep_due(job, recipients, outcomes, count)) {
        drop(job, path_is_null(message->envelope->reverse_path) ? "null sender" : "not asked for (NOTIFY)");
        return;
    }
    struct spool_content content;
    if (spool_load(job->reports->spool, message, &content, on_loaded, job))
        on_loaded(job, SPOOL_OK, &content);
}
