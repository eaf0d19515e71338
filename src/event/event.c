#include "event/event.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "event/rotating_file.h"
#include "event/text_output.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum importance { DETAIL, NOTICE, WARNING };
enum {
    FLUSH_OCTETS = 64 * 1024,
    VALUE_MAX = 4096, /* replies and errors come from strangers; what is longer is cut */
    FIELDS_MAX = 24,
    TIME_OCTETS = sizeof("2026-01-31T23:59:59.999Z") - 1,
};

static const struct kind {
    slice name;
    enum importance importance;
    slice fields;
} kinds[] = {
#define KIND_ROW(name, importance, fields, ...) { LIT(#name), importance, LIT(fields) },
    EVENTS(KIND_ROW)
};
_Static_assert(COUNT(kinds) == EVENT_KINDS, "one row for each event");

/* The declared fields of one kind, cut apart at the start. */
struct field_names {
    slice names[FIELDS_MAX];
    size_t count;
};

struct event_log {
    bool has_file, is_strict;
    struct rotating_file file;
    struct text_output text;
    enum event_text_level text_level;
    uint64_t counts[EVENT_KINDS];
    struct text heads[EVENT_KINDS]; /* what stands behind the time: ","event":"NAME","process":"mta-0" */
    struct field_names fields[EVENT_KINDS];
    bool complained[EVENT_KINDS]; /* about a field that is missing */

    uint64_t now_ms, formatted_second, last_urgent_ms;
    uint64_t (*wall_ms)(void *context); /* NULL: event_set_time alone */
    void *clock_context;
    char time[TIME_OCTETS + 1];

    /* the event between event_start and event_end */
    bool is_open, in_text;
    enum event_kind kind;
    size_t line_start, text_start;
    size_t next_field;     /* fields are mostly named in the order declared: look here first */
    uint32_t fields_named; /* a bit for each declared one */
};
_Static_assert(FIELDS_MAX <= 32, "fields_named holds a bit for each");

const char *event_name(enum event_kind kind) { return kinds[kind].name.ptr; }

static void prepare_kinds(struct event_log *log, slice process)
{
    for (size_t i = 0; i < EVENT_KINDS; i++) {
        struct text *head = &log->heads[i];
        text_add(head, SLICE("\",\"event\":\""));
        text_add(head, kinds[i].name);
        text_add(head, SLICE("\",\"process\":"));
        json_add_string(head, process);
        slice rest = kinds[i].fields;
        while (rest.len) {
            assert(log->fields[i].count < FIELDS_MAX);
            rest = slice_cut(rest, ' ', &log->fields[i].names[log->fields[i].count++], NULL);
        }
    }
}

struct event_log *event_log_open(const struct event_log_params *params, struct text *error)
{
    struct event_log *log = MEMORY_NEW(struct event_log);
    log->formatted_second = UINT64_MAX;
    log->text_level = params->text_level;
    log->is_strict = params->is_strict;
    text_output_open(&log->text, params->text_fd);
    if (params->folder) {
        struct text name = { 0 };
        text_add_format(&name, "events-%s.jsonl", params->process);
        log->has_file = rotating_file_open(&log->file, params->folder, text_slice(&name), error);
        text_free(&name);
        if (!log->has_file) {
            text_output_close(&log->text);
            memory_free(log);
            return NULL;
        }
        log->file.rotate_octets = params->rotate_octets;
        log->file.keep_files = params->keep_files;
    }
    prepare_kinds(log, slice_from_cstr(params->process));
    event_set_time(log, clock_wall_ms());
    return log;
}

void event_log_change(struct event_log *log, uint64_t rotate_octets, unsigned keep_files, enum event_text_level level)
{
    log->text_level = level;
    if (!log->has_file)
        return;
    event_flush(log);
    log->file.rotate_octets = rotate_octets;
    log->file.keep_files = keep_files;
    rotating_file_reopen(&log->file);
}

void event_log_close(struct event_log *log)
{
    if (!log)
        return;
    event_flush(log);
    text_output_close(&log->text);
    if (log->has_file)
        rotating_file_close(&log->file);
    for (size_t i = 0; i < EVENT_KINDS; i++)
        text_free(&log->heads[i]);
    memory_free(log);
}

/* RFC 3339, in UTC. Most calls fall into the second of the one before. */
void event_set_time(struct event_log *log, uint64_t wall_ms)
{
    if (wall_ms == log->now_ms)
        return;
    log->now_ms = wall_ms;
    if (wall_ms / 1000 != log->formatted_second) {
        time_t seconds = (time_t)(wall_ms / 1000);
        struct tm parts = { 0 };
        gmtime_r(&seconds, &parts);
        if (strftime(log->time, sizeof(log->time), "%Y-%m-%dT%H:%M:%S.000Z", &parts) == 0)
            memcpy(log->time, "9999-12-31T23:59:59.000Z", sizeof(log->time)); /* a clock gone mad */
        log->formatted_second = wall_ms / 1000;
    }
    unsigned ms = (unsigned)(wall_ms % 1000);
    log->time[TIME_OCTETS - 4] = (char)('0' + ms / 100);
    log->time[TIME_OCTETS - 3] = (char)('0' + ms / 10 % 10);
    log->time[TIME_OCTETS - 2] = (char)('0' + ms % 10);
}

void event_set_clock(struct event_log *log, uint64_t (*wall_ms)(void *context), void *context)
{
    log->wall_ms = wall_ms;
    log->clock_context = context;
}

uint64_t event_count(const struct event_log *log, enum event_kind kind) { return log->counts[kind]; }

static void start_text_line(struct event_log *log, enum importance importance)
{
    struct text *to = &log->text.pending;
    log->text_start = to->len;
    if (log->text.to_journal) { /* sd-daemon(3) */
        text_add(to, importance == WARNING ? SLICE("<4>") : importance == NOTICE ? SLICE("<5>") : SLICE("<6>"));
        return;
    }
    text_add(to, slice_from(log->time, TIME_OCTETS));
    text_add_byte(to, ' ');
}

/* Once when it begins, on stderr whatever the level: the file cannot say it. */
static void say_file_failed(struct event_log *log, int error_number)
{
    start_text_line(log, WARNING);
    text_add_format(
        &log->text.pending,
        "trouble text=\"the event log %s cannot be written: %s; mail goes on, events wait in memory and are "
        "dropped past 1 MiB\"\n",
        text_cstr(&log->file.name), strerror(error_number));
    text_output_keep_line(&log->text, log->text_start);
}

static void flush_file(struct event_log *log)
{
    int error_number = 0;
    uint64_t dropped_lines = 0;
    switch (rotating_file_flush(&log->file, log->now_ms, &error_number, &dropped_lines)) {
    case ROTATING_FILE_FAILED:
        say_file_failed(log, error_number);
        break;
    case ROTATING_FILE_WORKS_AGAIN:
        event_trouble(log, "the event log can be written again; %llu events are missing from it",
                      (unsigned long long)dropped_lines);
        break;
    case ROTATING_FILE_OK:
    case ROTATING_FILE_STILL_FAILED:
        break;
    }
}

void event_flush(struct event_log *log)
{
    assert(!log->is_open);
    if (log->has_file)
        flush_file(log);
    text_output_flush(&log->text);
}

size_t event_pending(const struct event_log *log) { return log->file.pending.len + log->text.pending.len; }

static bool is_wanted_as_text(const struct event_log *log, enum importance importance)
{
    return log->text_level == EVENT_TEXT_ALL || (log->text_level == EVENT_TEXT_IMPORTANT && importance >= NOTICE);
}

void event_start(struct event_log *log, enum event_kind kind)
{
    if (log->wall_ms)
        event_set_time(log, log->wall_ms(log->clock_context));
    assert(!log->is_open && kind < EVENT_KINDS);
    log->is_open = true;
    log->kind = kind;
    log->counts[kind]++;
    log->fields_named = 0;
    log->next_field = 0;
    log->in_text = is_wanted_as_text(log, kinds[kind].importance);
    if (log->has_file) {
        struct text *line = &log->file.pending;
        log->line_start = line->len;
        text_add(line, SLICE("{\"time\":\""));
        text_add(line, slice_from(log->time, TIME_OCTETS));
        text_add(line, text_slice(&log->heads[kind]));
    }
    if (log->in_text) {
        start_text_line(log, kinds[kind].importance);
        text_add(&log->text.pending, kinds[kind].name);
    }
}

static void note_field(struct event_log *log, slice field)
{
    const struct field_names *declared = &log->fields[log->kind];
    size_t i = log->next_field;
    for (size_t step = 0; step < declared->count; step++, i++) {
        if (i >= declared->count)
            i = 0;
        if (slice_eq(declared->names[i], field)) {
            log->fields_named |= UINT32_C(1) << i;
            log->next_field = i + 1;
            return;
        }
    }
}

/* `,"field":` */
static void start_json_field(struct event_log *log, slice field)
{
    char *to = text_reserve(&log->file.pending, field.len + 4);
    to[0] = ',';
    to[1] = '"';
    memcpy(to + 2, field.ptr, field.len);
    to[field.len + 2] = '"';
    to[field.len + 3] = ':';
    log->file.pending.len += field.len + 4;
}

static void start_text_field(struct event_log *log, slice field)
{
    text_add_byte(&log->text.pending, ' ');
    text_add(&log->text.pending, field);
    text_add_byte(&log->text.pending, '=');
}

void event_text(struct event_log *log, const char *field, slice value)
{
    slice name = slice_from_cstr(field);
    note_field(log, name);
    value = slice_head(value, VALUE_MAX);
    if (value.len == 0)
        return;
    if (log->has_file) {
        start_json_field(log, name);
        json_add_string(&log->file.pending, value);
    }
    if (log->in_text) {
        start_text_field(log, name);
        text_output_add_value(&log->text.pending, value);
    }
}

void event_cstr(struct event_log *log, const char *field, const char *value)
{
    event_text(log, field, slice_from_cstr(value));
}

void event_number(struct event_log *log, const char *field, uint64_t value)
{
    slice name = slice_from_cstr(field);
    note_field(log, name);
    if (log->has_file) {
        start_json_field(log, name);
        text_add_u64(&log->file.pending, value);
    }
    if (log->in_text) {
        start_text_field(log, name);
        text_add_u64(&log->text.pending, value);
    }
}

void event_id(struct event_log *log, const char *field, uint64_t message_id)
{
    char digits[16];
    for (size_t i = sizeof(digits); i-- > 0; message_id >>= 4)
        digits[i] = "0123456789abcdef"[message_id & 15];
    event_text(log, field, slice_from(digits, sizeof(digits)));
}

void event_address(struct event_log *log, const char *field, const struct address *address)
{
    struct text written = { 0 };
    if (address && address->any.sa_family != AF_UNSPEC)
        text_add_address_with_port(&written, address);
    event_text(log, field, text_slice(&written));
    text_free(&written);
}

/* A reader of the log relies on the declared fields; one that is missing is our mistake, but no reason to stop mail. */
static void check_fields(struct event_log *log)
{
    const struct field_names *declared = &log->fields[log->kind];
    uint32_t missing = (uint32_t)((UINT64_C(1) << declared->count) - 1) & ~log->fields_named;
    if (!missing || log->complained[log->kind])
        return;
    log->complained[log->kind] = true;
    slice name = declared->names[__builtin_ctz(missing)];
    fprintf(stderr,
            "postrider: event %s was written without its declared field " SLICE_FMT " (a mistake in Postrider)\n",
            event_name(log->kind), SLICE_ARG(name));
    if (log->is_strict)
        abort();
}

void event_end(struct event_log *log)
{
    assert(log->is_open);
    log->is_open = false;
    check_fields(log);
    if (log->has_file) {
        text_add(&log->file.pending, SLICE("}\n"));
        rotating_file_keep_line(&log->file, log->line_start);
    }
    if (log->in_text) {
        text_add_byte(&log->text.pending, '\n');
        text_output_keep_line(&log->text, log->text_start);
    }
    /* Warnings go out at once, in case the process ends over them; but a storm of them only once a millisecond. */
    bool is_urgent = kinds[log->kind].importance == WARNING && log->last_urgent_ms != log->now_ms;
    if (is_urgent)
        log->last_urgent_ms = log->now_ms;
    if (is_urgent || (log->has_file && log->file.pending.len >= FLUSH_OCTETS) || log->text.pending.len >= FLUSH_OCTETS)
        event_flush(log);
}

void event_trouble(struct event_log *log, const char *format, ...)
{
    char *message = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    event_start(log, EVENT_trouble);
    event_text(log, "text", length > 0 ? slice_from(message, (size_t)length) : slice_from_cstr(format));
    event_end(log);
    if (length >= 0)
        free(message);
}
