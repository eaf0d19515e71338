#include "programs/keyring/service.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "base/memory.h"
#include "io/work.h"
#include "programs/ctl/protocol.h"
#include "programs/keyring/password.h"
#include <jansson.h>
#include <unistd.h>

enum { CLIENTS_MAX = 16 };
#define REQUEST_WITHIN_MS SECONDS(60)

struct service {
    struct service_doors doors;
    struct listener *listener;
    struct list clients;
    size_t client_count;
};

/* A connection; it is answered before the next request is looked at. */
struct client {
    struct list node;
    struct service *service;
    struct stream *stream;
    struct text input;
    struct timer deadline;
    struct change *change; /* under way */
    bool has_ended;        /* the peer sends no more */
};

/* A new password whose hash is being made. */
struct change {
    struct client *client; /* NULL: gone; the change is made all the same */
    struct service *service;
    bool is_new;
    struct text address, password, hash;
};

/* --- answers --- */

static void answer_error(struct client *c, slice text, int exit_code)
{
    struct text line = { 0 };
    text_add_byte(&line, '{');
    json_add_field_string(&line, SLICE("error"), text);
    json_add_field_u64(&line, SLICE("exit"), (uint64_t)exit_code);
    text_add_cstr(&line, "}\n");
    stream_write(c->stream, text_slice(&line));
    text_free(&line);
}

static void answer_end(struct client *c, uint64_t count)
{
    struct text line = { 0 };
    text_add_cstr(&line, "{\"end\":true");
    json_add_field_u64(&line, SLICE("count"), count);
    json_add_field_bool(&line, SLICE("more"), false);
    text_add_cstr(&line, "}\n");
    stream_write(c->stream, text_slice(&line));
    text_free(&line);
}

static void answer(struct client *c, enum accounts_result result, const struct text *error)
{
    static const int exit_codes[] = {
        [ACCOUNTS_EXISTS] = EXIT_NEGATIVE, [ACCOUNTS_UNKNOWN] = EXIT_NEGATIVE, [ACCOUNTS_BAD_ADDRESS] = EXIT_DATA,
        [ACCOUNTS_BAD_HASH] = EXIT_DATA,   [ACCOUNTS_FAILED] = EXIT_SOFTWARE,
    };
    if (!c)
        return;
    if (result == ACCOUNTS_OK)
        answer_end(c, 1);
    else
        answer_error(c, text_slice(error), exit_codes[result]);
}

/* --- changes --- */

static void tell_changed(struct service *s, slice address, const char *what)
{
    struct event_log *events = s->doors.events;
    event_start(events, EVENT_account_changed);
    event_text(events, "account", address);
    event_cstr(events, "change", what);
    event_end(events);
}

static void set_hash(struct service *s, struct client *c, bool is_new, slice address, slice hash)
{
    struct text error = { 0 };
    enum accounts_result result = is_new ? accounts_add(s->doors.accounts, address, hash, &error)
                                         : accounts_set_hash(s->doors.accounts, address, hash, &error);
    if (result == ACCOUNTS_OK) {
        roster_set(s->doors.roster, address, hash);
        tell_changed(s, address, is_new ? "added" : "password changed");
        s->doors.changed(s->doors.context);
    }
    answer(c, result, &error);
    text_free(&error);
}

static void client_go_on(struct client *c);

static void change_run(void *context)
{
    struct change *change = context;
    (void)!password_make_hash(text_slice(&change->password), &change->hash); /* an empty hash is refused */
}

static void change_done(void *context)
{
    struct change *change = context;
    struct client *c = change->client;
    set_hash(change->service, c, change->is_new, text_slice(&change->address), text_slice(&change->hash));
    memory_wipe(change->password.ptr, change->password.len);
    text_free(&change->address);
    text_free(&change->password);
    text_free(&change->hash);
    memory_free(change);
    if (c) {
        c->change = NULL;
        client_go_on(c);
    }
}

static void change_start(struct client *c, bool is_new, slice address, slice password)
{
    struct change *change = MEMORY_NEW(struct change);
    change->client = c;
    change->service = c->service;
    change->is_new = is_new;
    text_add(&change->address, address);
    text_add(&change->password, password);
    c->change = change;
    work_run(c->service->doors.loop, WORK_CRYPTO, change_run, change_done, change);
}

/* --- commands --- */

struct request {
    slice account, password, password_hash;
    bool has_password, has_hash;
};

/* What the configuration says is not changed here. */
static bool is_ours(struct client *c, slice address)
{
    const struct roster_account *account = roster_find(c->service->doors.roster, address);
    if (!account || !account->is_configured)
        return true;
    answer_error(c, SLICE("this account stands in the configuration file: change it there"), EXIT_NEGATIVE);
    return false;
}

static void set_password(struct client *c, const struct request *r, bool is_new)
{
    if (r->has_password == r->has_hash)
        answer_error(c, SLICE("\"password\" or \"password_hash\" is needed, and not both"), EXIT_USAGE);
    else if (r->has_password && !password_is_acceptable(r->password))
        answer_error(c, SLICE("a password has 1 to 511 octets and no NUL"), EXIT_DATA);
    else if (!is_ours(c, r->account))
        return;
    else if (r->has_hash)
        set_hash(c->service, c, is_new, r->account, r->password_hash);
    else
        change_start(c, is_new, r->account, r->password);
}

static void on_add(struct client *c, const struct request *r) { set_password(c, r, true); }

static void on_set_password(struct client *c, const struct request *r) { set_password(c, r, false); }

static void on_remove(struct client *c, const struct request *r)
{
    struct service *s = c->service;
    struct text error = { 0 };
    if (!is_ours(c, r->account))
        return;
    enum accounts_result result = accounts_remove(s->doors.accounts, r->account, &error);
    if (result == ACCOUNTS_OK) {
        roster_remove(s->doors.roster, r->account);
        tell_changed(s, r->account, "removed");
        s->doors.changed(s->doors.context);
    }
    answer(c, result, &error);
    text_free(&error);
}

static void on_list(struct client *c, const struct request *r)
{
    (void)r;
    size_t position = 0, count = 0;
    struct text lines = { 0 };
    for (const struct roster_account *a; (a = map_next(&c->service->doors.roster->accounts, &position)); count++) {
        text_add_cstr(&lines, "{\"item\":{");
        json_add_field_string(&lines, SLICE("account"), a->address);
        json_add_field_string(&lines, SLICE("source"), a->is_configured ? SLICE("configuration") : SLICE("store"));
        text_add_cstr(&lines, "}}\n");
    }
    stream_write(c->stream, text_slice(&lines));
    text_free(&lines);
    answer_end(c, count);
}

enum { TAKES_ACCOUNT = 1, TAKES_PASSWORD = 2 };
static const struct command {
    slice name;
    void (*run)(struct client *, const struct request *);
    unsigned takes;
} commands[] = {
    { LIT("account_add"), on_add, TAKES_ACCOUNT | TAKES_PASSWORD },
    { LIT("account_set_password"), on_set_password, TAKES_ACCOUNT | TAKES_PASSWORD },
    { LIT("account_remove"), on_remove, TAKES_ACCOUNT },
    { LIT("account_list"), on_list, 0 },
};

static const struct command *find_command(slice name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (slice_eq(commands[i].name, name))
            return &commands[i];
    return NULL;
}

/* Unknown fields are refused: what is misspelt must not be left out silently. */
static bool read_field(struct request *r, const struct command *command, slice name, slice value)
{
    if (slice_eq(name, SLICE("command")))
        return true;
    if ((command->takes & TAKES_ACCOUNT) && slice_eq(name, SLICE("account"))) {
        r->account = value;
        return true;
    }
    if (!(command->takes & TAKES_PASSWORD))
        return false;
    if (slice_eq(name, SLICE("password"))) {
        r->password = value;
        return r->has_password = true;
    }
    if (slice_eq(name, SLICE("password_hash"))) {
        r->password_hash = value;
        return r->has_hash = true;
    }
    return false;
}

static slice json_slice(const json_t *value)
{
    return json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value)) : (slice){ 0 };
}

static void run_object(struct client *c, json_t *object)
{
    const struct command *command = find_command(json_slice(json_object_get(object, "command")));
    struct request request = { 0 };
    const char *name;
    json_t *value;
    if (!command) {
        answer_error(c, SLICE("unknown command"), EXIT_USAGE);
        return;
    }
    json_object_foreach(object, name, value)
    {
        if (json_is_string(value) && read_field(&request, command, slice_from_cstr(name), json_slice(value)))
            continue;
        struct text words = { 0 };
        text_add_format(&words, "field \"%s\" is not known here, or is not a text", name);
        answer_error(c, text_slice(&words), EXIT_USAGE);
        text_free(&words);
        return;
    }
    command->run(c, &request);
}

static void run_line(struct client *c, slice line)
{
    json_error_t error;
    json_t *object = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(object))
        run_object(c, object);
    else
        answer_error(c, SLICE("a request is one JSON object on one line"), EXIT_USAGE);
    json_decref(object);
}

/* --- connections --- */

static void client_free(struct client *c)
{
    struct service *s = c->service;
    if (c->change)
        c->change->client = NULL;
    timer_clear(s->doors.loop, &c->deadline);
    stream_close(c->stream);
    if (c->input.ptr)
        memory_wipe(c->input.ptr, c->input.len); /* passwords */
    text_free(&c->input);
    list_remove(&c->node);
    if (s->client_count-- == CLIENTS_MAX)
        listener_resume(s->listener);
    memory_free(c);
}

static void on_deadline(void *context)
{
    struct client *c = context;
    if (!c->change)
        answer_error(c, SLICE("no whole request came within a minute"), EXIT_TEMPORARY);
    client_free(c);
}

static void client_go_on(struct client *c)
{
    while (!c->change) {
        slice input = text_slice(&c->input);
        size_t end = slice_find_byte(input, '\n');
        if (end == SLICE_NOT_FOUND)
            break;
        run_line(c, slice_head(input, end));
        memory_wipe(c->input.ptr, end);
        text_remove_head(&c->input, end + 1);
    }
    if (c->change) {
        stream_pause(c->stream);
    } else if (c->has_ended) {
        client_free(c);
    } else if (c->input.len > REQUEST_MAX) {
        answer_error(c, SLICE("the request is too long"), EXIT_USAGE);
        client_free(c);
    } else {
        timer_set(c->service->doors.loop, &c->deadline, REQUEST_WITHIN_MS, on_deadline, c);
        stream_resume(c->stream);
    }
}

static void on_bytes(void *context, slice bytes)
{
    struct client *c = context;
    text_add(&c->input, bytes);
    client_go_on(c);
}

static void on_end(void *context, enum io_result why)
{
    (void)why;
    struct client *c = context;
    c->has_ended = true;
    if (!c->change)
        client_free(c);
}

static const struct stream_events client_events = { .on_bytes = on_bytes, .on_end = on_end };

static void on_accepted(void *context, struct stream *stream)
{
    struct service *s = context;
    struct client *c = MEMORY_NEW(struct client);
    c->service = s;
    c->stream = stream;
    list_append(&s->clients, &c->node);
    if (++s->client_count == CLIENTS_MAX)
        listener_pause(s->listener);

    uint32_t uid;
    if (!stream_peer_user(stream, &uid) || (uid != 0 && uid != geteuid())) {
        answer_error(c, SLICE("only root may manage accounts"), EXIT_NOT_ALLOWED);
        client_free(c);
        return;
    }
    stream_start(stream, &client_events, c);
    timer_set(s->doors.loop, &c->deadline, REQUEST_WITHIN_MS, on_deadline, c);
}

struct service *service_new(const struct service_doors *doors, int listener_fd)
{
    struct service *s = MEMORY_NEW(struct service);
    s->doors = *doors;
    list_init(&s->clients);
    s->listener = listener_new(doors->loop, listener_fd, on_accepted, s);
    return s;
}

void service_free(struct service *s)
{
    if (!s)
        return;
    for (struct list *node; (node = list_first(&s->clients));)
        client_free(LIST_ITEM(node, struct client, node));
    listener_free(s->listener);
    memory_free(s);
}
