#include "programs/mta/control_request.h"
#include "programs/ctl/protocol.h"
#include <jansson.h>

static bool is_object_of(const json_t *object, const slice *fields, size_t count, struct text *error)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object)) {
        text_add(error, SLICE("an object is wanted"));
        return false;
    }
    json_object_foreach((json_t *)object, name, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < count; i++)
            is_known |= slice_eq(slice_from_cstr(name), fields[i]);
        if (!is_known) {
            text_add_format(error, "unknown field %s", name);
            return false;
        }
    }
    return true;
}

/* False when the field stands there, but is no text. Absent: left as it is. */
static bool take_text(const json_t *object, const char *name, struct arena *arena, slice *to, bool *is_there,
                      struct text *error)
{
    const json_t *value = json_object_get(object, name);
    *is_there = value != NULL;
    if (value && !json_is_string(value)) {
        text_add_format(error, "%s is a text", name);
        return false;
    }
    if (value)
        *to = arena_copy(arena, slice_from(json_string_value(value), json_string_length(value)));
    return true;
}

static bool take_number(const json_t *object, const char *name, uint64_t *to, struct text *error)
{
    const json_t *value = json_object_get(object, name);
    if (value && (!json_is_integer(value) || json_integer_value(value) < 0)) {
        text_add_format(error, "%s is a number, 0 or more", name);
        return false;
    }
    if (value)
        *to = (uint64_t)json_integer_value(value);
    return true;
}

static bool take_ids(const json_t *object, struct arena *arena, struct filter *filter, struct text *error)
{
    const json_t *ids = json_object_get(object, "ids");
    if (!ids)
        return true;
    if (!json_is_array(ids) || json_array_size(ids) > FILTER_IDS_MAX) {
        text_add_format(error, "ids is a list of at most %d", FILTER_IDS_MAX);
        return false;
    }
    filter->id_count = json_array_size(ids);
    filter->ids = ARENA_NEW_ARRAY(arena, uint64_t, size_max(filter->id_count, 1));
    for (size_t i = 0; i < filter->id_count; i++) {
        const json_t *id = json_array_get(ids, i);
        slice text = json_is_string(id) ? slice_from(json_string_value(id), json_string_length(id)) : (slice){ 0 };
        if (!message_id_parse(text, &filter->ids[i])) {
            text_add_format(error, "'" SLICE_FMT "' is not the id of a message (16 hex digits)",
                            SLICE_ARG(slice_head(text, 100)));
            return false;
        }
    }
    return true;
}

/* "ann@example.org", "" (the null sender), "@example.org", ".example.org" */
static bool parse_pattern(slice text, struct pattern *pattern)
{
    char first = text.len ? text.ptr[0] : '\0';
    if (text.len == 0) {
        *pattern = (struct pattern){ .kind = PATTERN_MAILBOX };
        return true;
    }
    if (first == '@' || first == '.') {
        *pattern = (struct pattern){ .kind = first == '@' ? PATTERN_DOMAIN : PATTERN_BELOW_DOMAIN,
                                     .path.domain = slice_tail(text, 1) };
        return text.len > 1;
    }
    struct path_parse parsed = first == '<' ? path_parse(text, true) : mailbox_parse(text, true);
    *pattern = (struct pattern){ .kind = PATTERN_MAILBOX, .path = parsed.path };
    return parsed.error == PATH_OK && parsed.rest.len == 0;
}

static bool take_pattern(const json_t *object, const char *name, struct arena *arena, struct pattern *pattern,
                         struct text *error)
{
    slice text = { 0 };
    bool is_there;
    if (!take_text(object, name, arena, &text, &is_there, error))
        return false;
    if (!is_there || parse_pattern(text, pattern))
        return true;
    text_add_format(error, "%s: '" SLICE_FMT "' is neither an address nor @DOMAIN", name,
                    SLICE_ARG(slice_head(text, 300)));
    return false;
}

static bool take_domain(const json_t *object, struct arena *arena, struct pattern *pattern, struct text *error)
{
    slice domain = { 0 };
    bool is_there;
    if (!take_text(object, "domain", arena, &domain, &is_there, error))
        return false;
    if (!is_there)
        return true;
    bool is_below = slice_starts_with(domain, SLICE("."));
    *pattern = (struct pattern){ .kind = is_below ? PATTERN_BELOW_DOMAIN : PATTERN_DOMAIN };
    pattern->path.domain = slice_starts_with(domain, SLICE("@")) || is_below ? slice_tail(domain, 1) : domain;
    if (pattern->path.domain.len > 0)
        return true;
    text_add(error, SLICE("domain is empty"));
    return false;
}

static bool take_status(const json_t *object, struct arena *arena, slice *status, struct text *error)
{
    static const slice words[] = { LIT("queued"), LIT("active"), LIT("deferred"), LIT("held") };
    bool is_there;
    if (!take_text(object, "status", arena, status, &is_there, error))
        return false;
    for (size_t i = 0; i < COUNT(words); i++)
        if (!is_there || slice_eq(*status, words[i]))
            return true;
    text_add(error, SLICE("status is one of queued, active, deferred, held"));
    return false;
}

static bool take_filter(const json_t *request, struct arena *arena, struct filter *filter, struct text *error)
{
    static const slice fields[] = { LIT("ids"),    LIT("sender"),   LIT("recipient"), LIT("domain"),
                                    LIT("status"), LIT("older_ms"), LIT("newer_ms") };
    const json_t *object = json_object_get(request, "filter");
    if (!object)
        return true;
    return is_object_of(object, fields, COUNT(fields), error) && take_ids(object, arena, filter, error) &&
           take_pattern(object, "sender", arena, &filter->sender, error) &&
           take_pattern(object, "recipient", arena, &filter->recipient, error) &&
           take_domain(object, arena, &filter->domain, error) && take_status(object, arena, &filter->status, error) &&
           take_number(object, "older_ms", &filter->older_ms, error) &&
           take_number(object, "newer_ms", &filter->newer_ms, error);
}

static bool filter_is_empty(const struct filter *f)
{
    return !f->ids && !f->sender.kind && !f->recipient.kind && !f->domain.kind && !f->status.len && !f->older_ms &&
           !f->newer_ms;
}

static bool take_command(const json_t *request, enum control_command *command, struct text *error)
{
    static const slice names[] = {
        [COMMAND_LIST] = LIT("queue_list"),       [COMMAND_SHOW] = LIT("queue_show"),
        [COMMAND_RETRY] = LIT("queue_retry"),     [COMMAND_HOLD] = LIT("queue_hold"),
        [COMMAND_RELEASE] = LIT("queue_release"), [COMMAND_REMOVE] = LIT("queue_remove"),
        [COMMAND_STATUS] = LIT("status"),         [COMMAND_SUBMIT] = LIT("submit"),
    };
    const json_t *value = json_object_get(request, "command");
    slice name = json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value)) : (slice){ 0 };
    for (size_t i = 0; i < COUNT(names); i++)
        if (slice_eq(name, names[i])) {
            *command = (enum control_command)i;
            return true;
        }
    text_add_format(error, "there is no command '" SLICE_FMT "'", SLICE_ARG(slice_head(name, 100)));
    return false;
}

static bool check_scope(const json_t *json, const struct control_request *request, struct text *error)
{
    bool all = json_is_true(json_object_get(json, "all"));
    if (request->command == COMMAND_SHOW && !request->filter.ids) {
        text_add(error, SLICE("which message? Ids are wanted"));
        return false;
    }
    if (command_is_change(request->command) && filter_is_empty(&request->filter) && !all) {
        text_add(error, SLICE("which messages? Ids, a filter or \"all\":true are wanted"));
        return false;
    }
    return true;
}

bool control_request_parse(slice line, struct arena *arena, struct control_request *request, struct text *error)
{
    static const slice fields[] = { LIT("command"), LIT("filter"), LIT("limit"), LIT("recipients"), LIT("all") };
    json_error_t where;
    *request = (struct control_request){ .recipients = LIST_RECIPIENTS };
    json_t *json = json_loadb(line.ptr ? line.ptr : "", line.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (!json) {
        text_add_format(error, "the request is not JSON: %s", where.text);
        return false;
    }
    bool ok = is_object_of(json, fields, COUNT(fields), error) && take_command(json, &request->command, error) &&
              take_filter(json, arena, &request->filter, error) && take_number(json, "limit", &request->limit, error) &&
              take_number(json, "recipients", &request->recipients, error) && check_scope(json, request, error);
    json_decref(json);
    return ok;
}

bool pattern_matches(const struct pattern *pattern, struct path path)
{
    slice domain = pattern->path.domain;
    switch (pattern->kind) {
    case PATTERN_ANY:
        return true;
    case PATTERN_MAILBOX:
        return path_eq(pattern->path, path);
    case PATTERN_DOMAIN:
        return slice_eq_nocase(path.domain, domain);
    case PATTERN_BELOW_DOMAIN:
        return slice_eq_nocase(path.domain, domain) ||
               (path.domain.len > domain.len && path.domain.ptr[path.domain.len - domain.len - 1] == '.' &&
                slice_ends_with_nocase(path.domain, domain));
    }
    return false;
}

static bool some_recipient_matches(const struct filter *filter, const struct spool_message *message)
{
    if (filter->recipient.kind == PATTERN_ANY && filter->domain.kind == PATTERN_ANY)
        return true;
    for (size_t i = 0; i < message->envelope->recipient_count; i++) {
        const struct recipient *recipient = &message->envelope->recipients[i];
        if (message->recipients[i].is_final)
            continue;
        if (pattern_matches(&filter->domain, recipient->forward_path) &&
            (pattern_matches(&filter->recipient, recipient->forward_path) ||
             pattern_matches(&filter->recipient, recipient->original)))
            return true;
    }
    return false;
}

bool filter_matches(const struct filter *filter, const struct schedule *schedule, const struct spool_message *message,
                    uint64_t now_ms)
{
    uint64_t arrived_ms = message->envelope->arrived_ms, age_ms = now_ms > arrived_ms ? now_ms - arrived_ms : 0;
    if ((filter->older_ms && age_ms < filter->older_ms) || (filter->newer_ms && age_ms > filter->newer_ms))
        return false;
    if (filter->status.len && !slice_eq(filter->status, slice_from_cstr(schedule_state(schedule, message))))
        return false;
    return pattern_matches(&filter->sender, message->envelope->reverse_path) && some_recipient_matches(filter, message);
}
