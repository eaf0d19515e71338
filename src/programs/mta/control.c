#include "programs/mta/control.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "programs/ctl/protocol.h"
#include "programs/mta/control_job.h"
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 128,          /* in all */
    CONNECTIONS_MAX_STRANGERS = 64, /* of unprivileged users together: the operator gets through */
    CONNECTIONS_MAX_A_USER = 16,    /* of one of them */
    REQUEST_MAX_STRANGER = 1024,    /* `submit` is all they may ask */
    OUTPUT_WAITS = 256 * 1024,      /* octets a slow reader may leave before the next piece is made */
};
#define REQUEST_TIMEOUT_MS SECONDS(60)

struct control {
    struct control_doors doors;
    struct listener *listener;
    struct list connections;
    size_t connection_count, stranger_count;
    uint64_t started_ms;
    atomic_bool is_stopping;
};

struct connection {
    struct list node;
    struct control *control;
    struct stream *stream; /* NULL: gone, freed when its job comes home */
    uint32_t uid;
    bool is_operator;
    bool is_asking; /* the job is out, or waits for the reader */
    bool waits_for_reader;
    bool has_ended; /* the peer sends no more, but reads on */
    struct text input;
    struct timer deadline;
    struct control_job job;
};

static void on_bytes(void *context, slice bytes);
static void on_end(void *context, enum io_result why);
static void on_drained(void *context);
static const struct stream_events events = { .on_bytes = on_bytes, .on_end = on_end, .on_drained = on_drained };

static void free_connection(struct connection *c)
{
    struct control *control = c->control;
    timer_clear(control->doors.loop, &c->deadline);
    if (c->stream)
        stream_close(c->stream);
    list_remove(&c->node);
    control->connection_count--;
    control->stranger_count -= !c->is_operator;
    text_free(&c->input);
    control_job_clear(&c->job);
    memory_free(c);
}

/* The job cannot be called back: what it found is thrown away when it comes. */
static void drop_connection(struct connection *c)
{
    if (c->is_asking && !c->waits_for_reader) {
        timer_clear(c->control->doors.loop, &c->deadline);
        if (c->stream)
            stream_close(c->stream);
        c->stream = NULL;
        return;
    }
    free_connection(c);
}

static void on_deadline(void *context) { drop_connection(context); }

static void expect_request(struct connection *c)
{
    timer_set(c->control->doors.loop, &c->deadline, REQUEST_TIMEOUT_MS, on_deadline, c);
}

static void answer_error(struct connection *c, slice error, int exit_code)
{
    struct text line = { 0 };
    control_add_error(&line, error, exit_code);
    stream_write(c->stream, text_slice(&line));
    text_free(&line);
    expect_request(c);
}

static void try_next_request(struct connection *c);

static void end_job(struct connection *c)
{
    c->is_asking = false;
    control_job_clear(&c->job);
    c->job = (struct control_job){ 0 };
    stream_resume(c->stream);
    expect_request(c);
    try_next_request(c);
}

/* A piece has come home. */
static void on_piece(void *context)
{
    struct connection *c = context;
    if (!c->stream) {
        free_connection(c);
        return;
    }
    stream_write(c->stream, text_slice(&c->job.output));
    text_clear(&c->job.output);
    if (c->job.is_done) {
        end_job(c);
    } else if (stream_pending(c->stream) >= OUTPUT_WAITS) {
        c->waits_for_reader = true;
        expect_request(c); /* to read on, that is */
    } else {
        control_job_step(&c->job);
    }
}

static void on_drained(void *context)
{
    struct connection *c = context;
    if (!c->waits_for_reader)
        return;
    c->waits_for_reader = false;
    timer_clear(c->control->doors.loop, &c->deadline);
    control_job_step(&c->job);
}

static void ask(struct connection *c, const struct control_request *request, struct arena *memory)
{
    struct control *control = c->control;
    c->is_asking = true;
    timer_clear(control->doors.loop, &c->deadline);
    stream_pause(c->stream);
    c->job = (struct control_job){ .request = *request,
                                   .memory = *memory,
                                   .home = control->doors.loop,
                                   .loops = control->doors.loops,
                                   .loop_count = control->doors.loop_count,
                                   .is_stopping = &control->is_stopping,
                                   .started_ms = control->started_ms,
                                   .piece = on_piece,
                                   .context = c };
    text_add_format(&c->job.by, "operator uid %u", c->uid);
    control_job_start(&c->job);
}

/* From here on the connection is the receiver's. */
static void submit(struct connection *c)
{
    const struct control_doors *doors = &c->control->doors;
    if (!doors->submit) {
        answer_error(c, SLICE("local submission is off: use the submission listener"), EXIT_UNAVAILABLE);
        return;
    }
    struct text account = { 0 };
    struct stream *stream = c->stream;
    text_add_format(&account, "uid:%u", c->uid);
    stream_write(stream, SLICE("{\"end\":true,\"count\":0}\n"));
    c->stream = NULL;
    free_connection(c);
    doors->submit(doors->receiver, stream, text_slice(&account));
    text_free(&account);
}

/* False: the connection is not the control's any more. */
static bool take_request(struct connection *c, slice line)
{
    struct arena memory = { 0 };
    struct control_request request;
    struct text error = { 0 };
    bool goes_on = true;
    if (!control_request_parse(line, &memory, &request, &error)) {
        answer_error(c, text_slice(&error), EXIT_USAGE);
    } else if (request.command == COMMAND_SUBMIT) {
        goes_on = c->control->doors.submit == NULL;
        submit(c);
    } else if (!c->is_operator) {
        answer_error(c, SLICE("only root and the server's own user may ask this"), EXIT_NOT_ALLOWED);
    } else {
        ask(c, &request, &memory);
        memory = (struct arena){ 0 }; /* the job's now */
    }
    arena_free(&memory);
    text_free(&error);
    return goes_on;
}

static void try_next_request(struct connection *c)
{
    size_t most = c->is_operator ? REQUEST_MAX : REQUEST_MAX_STRANGER;
    while (!c->is_asking) {
        size_t end = slice_find_byte(text_slice(&c->input), '\n');
        if (end == SLICE_NOT_FOUND && c->input.len < most) {
            if (c->has_ended)
                free_connection(c);
            return;
        }
        if (end == SLICE_NOT_FOUND) {
            answer_error(c, SLICE("the request is too long"), EXIT_USAGE);
            free_connection(c);
            return;
        }
        struct text line = { 0 };
        text_add(&line, slice_head(text_slice(&c->input), end));
        text_remove_head(&c->input, end + 1);
        bool goes_on = take_request(c, text_slice(&line));
        text_free(&line);
        if (!goes_on)
            return;
        if (!c->is_asking && stream_pending(c->stream) >= OUTPUT_WAITS) { /* asks and asks, and reads no answer */
            free_connection(c);
            return;
        }
    }
}

static void on_bytes(void *context, slice bytes)
{
    struct connection *c = context;
    if (c->input.len + bytes.len > 2 * REQUEST_MAX) { /* does not wait for its answers */
        drop_connection(c);
        return;
    }
    text_add(&c->input, bytes);
    if (!c->is_asking)
        try_next_request(c);
}

static void on_end(void *context, enum io_result why)
{
    struct connection *c = context;
    c->has_ended = why == IO_END;
    if (!c->has_ended || !c->is_asking)
        drop_connection(c);
}

static size_t connections_of(const struct control *control, uint32_t uid)
{
    size_t count = 0;
    LIST_EACH(&control->connections, node)
        count += LIST_ITEM(node, struct connection, node)->uid == uid;
    return count;
}

static bool has_room_for(const struct control *control, uint32_t uid, bool is_operator)
{
    if (control->connection_count >= CONNECTIONS_MAX)
        return false;
    return is_operator || (control->stranger_count < CONNECTIONS_MAX_STRANGERS &&
                           connections_of(control, uid) < CONNECTIONS_MAX_A_USER);
}

static void refuse(struct stream *stream, slice why, int exit_code)
{
    struct text line = { 0 };
    control_add_error(&line, why, exit_code);
    stream_write(stream, text_slice(&line));
    text_free(&line);
    stream_close(stream);
}

static void on_accepted(void *context, struct stream *stream)
{
    struct control *control = context;
    uint32_t uid;
    if (!stream_peer_user(stream, &uid)) {
        refuse(stream, SLICE("the kernel does not say who you are"), EXIT_NOT_ALLOWED);
        return;
    }
    bool is_operator = uid == 0 || uid == getuid();
    if (!has_room_for(control, uid, is_operator)) {
        refuse(stream, SLICE("too many connections to the control socket; try again"), EXIT_TEMPORARY);
        return;
    }
    struct connection *c = MEMORY_NEW(struct connection);
    *c = (struct connection){ .control = control, .stream = stream, .uid = uid, .is_operator = is_operator };
    list_append(&control->connections, &c->node);
    control->connection_count++;
    control->stranger_count += !is_operator;
    expect_request(c);
    stream_start(stream, &events, c);
}

struct control *control_new(const struct control_doors *doors)
{
    struct control *control = MEMORY_NEW(struct control);
    control->doors = *doors;
    control->doors.loops = memory_copy(doors->loops, doors->loop_count * sizeof(*doors->loops));
    control->started_ms = clock_wall_ms();
    list_init(&control->connections);
    if (doors->listener_fd >= 0)
        control->listener = listener_new(doors->loop, doors->listener_fd, on_accepted, control);
    return control;
}

void control_stop(struct control *control)
{
    if (!control)
        return;
    atomic_store(&control->is_stopping, true);
    if (control->listener)
        listener_free(control->listener);
    control->listener = NULL;
    LIST_EACH(&control->connections, node)
        drop_connection(LIST_ITEM(node, struct connection, node));
}

void control_free(struct control *control)
{
    if (!control)
        return;
    control_stop(control);
    /* What is still out with a loop that has ended never comes home; the process ends now. */
    if (list_is_empty(&control->connections)) {
        memory_free((void *)control->doors.loops);
        memory_free(control);
    }
}
