#include "programs/mta/control_job.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "io/work.h"
#include "programs/ctl/protocol.h"
#include <unistd.h>

enum {
    PIECE_MESSAGES = 500, /* looked at in one go: well below a millisecond */
    PIECE_OCTETS = 64 * 1024,
};

static const struct control_loop *here(const struct control_job *job) { return &job->loops[job->visited]; }

static void visit(void *context);

void control_job_start(struct control_job *job)
{
    job->header_fd = -1;
    control_job_step(job);
}

void control_job_step(struct control_job *job)
{
    assert(loop_is_current(job->home) && !job->is_done);
    loop_post(here(job)->loop, visit, job);
}

void control_job_clear(struct control_job *job)
{
    text_free(&job->output);
    text_free(&job->header);
    text_free(&job->by);
    memory_free(job->ids);
    status_sum_clear(&job->status);
    arena_free(&job->memory);
}

static void go_home(struct control_job *job) { loop_post(job->home, job->piece, job->context); }

void control_add_error(struct text *to, slice error, int exit_code)
{
    text_add_byte(to, '{');
    json_add_field_string(to, SLICE("error"), error);
    json_add_field_u64(to, SLICE("exit"), (uint64_t)exit_code);
    text_add(to, SLICE("}\n"));
}

static void add_end(struct control_job *job)
{
    text_add(&job->output, SLICE("{"));
    json_add_field_bool(&job->output, SLICE("end"), true);
    json_add_field_u64(&job->output, SLICE("count"), job->count);
    json_add_field_bool(&job->output, SLICE("more"), job->more);
    text_add(&job->output, SLICE("}\n"));
    job->is_done = true;
}

/* This loop has nothing more to say. */
static void leave(void *context)
{
    struct control_job *job = context;
    job->has_ids = job->has_changed = false;
    job->id_count = job->id_place = 0;
    job->visited++;
    if (job->visited == job->loop_count || job->more || atomic_load(job->is_stopping)) {
        if (job->request.command == COMMAND_STATUS) {
            text_add(&job->output, SLICE("{\"item\":"));
            text_add_status_item(&job->output, &job->status, job->loop_count, job->started_ms);
            text_add(&job->output, SLICE("}\n"));
            job->count = 1;
        }
        add_end(job);
    }
    go_home(job);
}

static void add_id(void *context, struct spool_message *message)
{
    struct control_job *job = context;
    if (job->id_count == job->id_capacity) {
        job->id_capacity = size_max(job->id_capacity * 2, 256);
        job->ids = memory_resize(job->ids, job->id_capacity * sizeof(*job->ids));
    }
    job->ids[job->id_count++] = message->id;
}

/* The one walk over all messages is over ids alone: 8 octets and some nanoseconds each. */
static void gather_ids(struct control_job *job)
{
    const struct filter *filter = &job->request.filter;
    job->has_ids = true;
    if (!filter->ids) {
        spool_each(here(job)->spool, add_id, job);
        return;
    }
    for (size_t i = 0; i < filter->id_count; i++) {
        struct spool_message *message = spool_find(here(job)->spool, filter->ids[i]);
        if (message)
            add_id(job, message);
    }
}

static void add_changed_item(struct control_job *job, uint64_t id)
{
    text_add(&job->output, SLICE("{\"item\":{\"message\":\""));
    text_add_message_id(&job->output, id);
    text_add(&job->output, SLICE("\"}}\n"));
}

static void change_message(struct control_job *job, struct spool_message *message)
{
    struct schedule *schedule = here(job)->schedule;
    uint64_t id = message->id; /* a removed message may be gone when the call returns */
    switch (job->request.command) {
    case COMMAND_RETRY:
        schedule_retry(schedule, message);
        break;
    case COMMAND_HOLD:
        schedule_hold(schedule, message, text_slice(&job->by));
        break;
    case COMMAND_RELEASE:
        schedule_release(schedule, message, text_slice(&job->by));
        break;
    case COMMAND_REMOVE:
        schedule_remove(schedule, message, text_slice(&job->by));
        break;
    default:
        return;
    }
    job->has_changed = true;
    add_changed_item(job, id);
}

static void read_header(void *context)
{
    struct control_job *job = context;
    size_t wanted = size_min(job->loading->header_octets, HEADER_MAX);
    ssize_t got = pread(job->header_fd, text_reserve(&job->header, wanted), wanted, 0);
    job->header.len = got > 0 ? (size_t)got : 0;
}

static void end_shown_item(struct control_job *job, slice header)
{
    json_add_field_string(&job->output, SLICE("header"), slice_head(header, HEADER_MAX));
    text_add(&job->output, SLICE("}}\n"));
    spool_release(here(job)->spool, job->loading);
    job->loading = NULL;
}

static void header_is_read(void *context)
{
    struct control_job *job = context;
    end_shown_item(job, text_slice(&job->header));
    text_clear(&job->header);
    visit(job);
}

/* True: the item is complete; false: visit goes on when the header was read. */
static bool take_content(struct control_job *job, const struct spool_content *content)
{
    if (content->fd < 0) {
        end_shown_item(job, slice_head(content->octets, job->loading->header_octets));
        return true;
    }
    job->header_fd = content->fd;
    work_run(here(job)->loop, WORK_DISK, read_header, header_is_read, job);
    return false;
}

static void content_is_loaded(void *context, enum spool_result result, const struct spool_content *content)
{
    struct control_job *job = context;
    bool is_complete = true;
    if (result == SPOOL_OK)
        is_complete = take_content(job, content);
    else
        end_shown_item(job, SLICE("(the content cannot be read)\r\n"));
    if (is_complete)
        visit(job);
}

/* False: it goes on later by itself. */
static bool show_message(struct control_job *job, struct spool_message *message)
{
    struct spool_content content;
    text_add(&job->output, SLICE("{\"item\":"));
    text_add_message_item(&job->output, here(job), message, UINT64_MAX);
    job->loading = message;
    if (!spool_load(here(job)->spool, message, &content, content_is_loaded, job))
        return false;
    return take_content(job, &content);
}

/* False: the visit goes on later by itself. */
static bool answer_for(struct control_job *job, struct spool_message *message)
{
    if (job->request.limit && job->count == job->request.limit) {
        job->more = true;
        return true;
    }
    job->count++;
    if (job->request.command == COMMAND_SHOW)
        return show_message(job, message);
    if (command_is_change(job->request.command)) {
        change_message(job, message);
        return true;
    }
    text_add(&job->output, SLICE("{\"item\":"));
    text_add_message_item(&job->output, here(job), message, job->request.recipients);
    text_add(&job->output, SLICE("}}\n"));
    return true;
}

static bool is_piece_full(const struct control_job *job, size_t looked_at)
{
    return looked_at >= PIECE_MESSAGES || job->output.len >= PIECE_OCTETS;
}

static void changes_are_synced(void *context, enum spool_result result)
{
    struct control_job *job = context;
    if (result == SPOOL_OK) {
        leave(job);
        return;
    }
    struct text error = { 0 };
    text_add_format(
        &error, "the changes are not on disk and may be undone when the server is started again, which it needs: %s",
        spool_trouble(here(job)->spool));
    control_add_error(&job->output, text_slice(&error), EXIT_TEMPORARY);
    text_free(&error);
    job->is_done = true;
    go_home(job);
}

/* The operator hears of a change once it is in the event log and on disk. */
static void make_durable(struct control_job *job)
{
    if (here(job)->events)
        event_flush(here(job)->events);
    spool_sync(here(job)->spool, changes_are_synced, job);
}

/* On the visited loop. */
static void visit(void *context)
{
    struct control_job *job = context;
    size_t looked_at = 0;
    assert(loop_is_current(here(job)->loop));
    if (atomic_load(job->is_stopping)) {
        leave(job);
        return;
    }
    if (job->request.command == COMMAND_STATUS) {
        status_sum_add(&job->status, here(job));
        leave(job);
        return;
    }
    if (!job->has_ids)
        gather_ids(job);
    while (job->id_place < job->id_count && !job->more && !is_piece_full(job, looked_at)) {
        struct spool_message *message = spool_find(here(job)->spool, job->ids[job->id_place++]);
        looked_at++;
        if (message &&
            filter_matches(&job->request.filter, here(job)->schedule, message, loop_wall_ms(here(job)->loop)) &&
            !answer_for(job, message))
            return;
    }
    if (job->id_place < job->id_count && !job->more)
        go_home(job);
    else if (job->has_changed)
        make_durable(job);
    else
        leave(job);
}
