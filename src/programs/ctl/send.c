#include "base/clock.h"
#include "base/memory.h"
#include "programs/ctl/arguments.h"
#include "programs/ctl/compose.h"
#include "programs/ctl/conversation.h"
#include "programs/ctl/ctl.h"
#include "programs/ctl/input.h"
#include "programs/ctl/print.h"
#include "programs/ctl/protocol.h"
#include "programs/ctl/secret.h"
#include "smtp/path.h"
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { ADDRESSES_MAX = 16, RECIPIENTS_MAX = 1000 };

struct send_arguments {
    const char *server, *from, *subject, *body, *message_file, *tls, *user, *password, *password_file, *password_env,
        *helo, *ca_file;
    struct argument_list to, attach, headers;
    uint64_t count, timeout_ms;
    bool quiet, json, verify, password_stdin;
};

struct send {
    struct send_arguments a;
    const struct arguments *arguments;
    struct address addresses[ADDRESSES_MAX];
    size_t address_count;
    struct text host;
    enum conversation_tls tls;
    struct tls_context *tls_context;
    struct text password, hostname, body, given_message, ca_pem, message, error;
    slice *to, *headers;
    struct conversation_recipient *recipients;
    struct compose_attachment *attachments;
    struct text *attachment_octets;
    uint64_t started_ms;
};

/* arguments ---------------------------------------------------------------------------------------------------- */

static bool mistake(struct send *s, int *exit_code)
{
    *exit_code = arguments_mistake(s->arguments, "%s", text_cstr(&s->error));
    return false;
}

static bool choose_tls(struct send *s)
{
    static const char *const words[] = { [CONVERSATION_TLS_NONE] = "none",
                                         [CONVERSATION_TLS_STARTTLS] = "starttls",
                                         [CONVERSATION_TLS_REQUIRED] = "required",
                                         [CONVERSATION_TLS_IMPLICIT] = "implicit" };
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(s->a.tls, words[i]) == 0) {
            s->tls = (enum conversation_tls)i;
            return true;
        }
    text_add_format(&s->error, "--tls is one of none, starttls, required, implicit; not '%s'", s->a.tls);
    return false;
}

/* "HOST", "HOST:PORT", "2001:db8::1", "[2001:db8::1]:PORT" */
static void split_server(const char *server, enum conversation_tls tls, struct text *host, struct text *port)
{
    slice text = slice_from_cstr(server), name = text, number = { 0 };
    size_t colon = slice_find_byte_last(text, ':');
    bool is_bare_v6 = text.len && text.ptr[0] != '[' && colon != SLICE_NOT_FOUND && slice_find_byte(text, ':') != colon;
    if (colon != SLICE_NOT_FOUND && !is_bare_v6 && !slice_ends_with(text, SLICE("]"))) {
        name = slice_head(text, colon);
        number = slice_tail(text, colon + 1);
    }
    if (slice_starts_with(name, SLICE("[")) && slice_ends_with(name, SLICE("]")))
        name = slice_from(name.ptr + 1, name.len - 2);
    text_add(host, name);
    text_add(port, number.len ? number : tls == CONVERSATION_TLS_IMPLICIT ? SLICE("465") : SLICE("25"));
}

static bool find_server(struct send *s)
{
    struct text port = { 0 };
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *found = NULL;
    split_server(s->a.server, s->tls, &s->host, &port);
    int error = getaddrinfo(text_cstr(&s->host), text_cstr(&port), &hints, &found);
    text_free(&port);
    if (error != 0) {
        text_add_format(&s->error, "cannot find the server '%s': %s", s->a.server, gai_strerror(error));
        return false;
    }
    for (const struct addrinfo *i = found; i && s->address_count < ADDRESSES_MAX; i = i->ai_next)
        if (i->ai_family == AF_INET || i->ai_family == AF_INET6)
            address_from_sockaddr(&s->addresses[s->address_count++], i->ai_addr);
    freeaddrinfo(found);
    return s->address_count > 0;
}

static bool check_mailbox(struct send *s, const char *option, const char *mailbox)
{
    if (mailbox_parse(slice_from_cstr(mailbox), true).error == PATH_OK)
        return true;
    text_add_format(&s->error, "%s '%s' is not an address, name@domain", option, mailbox);
    return false;
}

static bool take_addresses(struct send *s)
{
    if (!s->a.server || !s->a.from || s->a.to.count == 0) {
        text_add_cstr(&s->error, "--server, --from and --to are wanted");
        return false;
    }
    if (strcmp(s->a.from, "<>") == 0)
        s->a.from = "";
    if (*s->a.from && !check_mailbox(s, "--from", s->a.from))
        return false;
    if (s->a.to.count > RECIPIENTS_MAX) {
        text_add_format(&s->error, "at most %d recipients", RECIPIENTS_MAX);
        return false;
    }
    s->recipients = memory_new(s->a.to.count * sizeof(*s->recipients));
    s->to = memory_new(s->a.to.count * sizeof(*s->to));
    for (size_t i = 0; i < s->a.to.count; i++) {
        if (!check_mailbox(s, "--to", s->a.to.items[i]))
            return false;
        s->recipients[i].mailbox = s->to[i] = slice_from_cstr(s->a.to.items[i]);
    }
    return true;
}

static bool take_password(struct send *s)
{
    if (!s->a.user)
        return true;
    if (s->a.password_file)
        return secret_read_file(s->a.password_file, &s->password, &s->error);
    if (s->a.password_stdin)
        return secret_read_line(STDIN_FILENO, &s->password, &s->error);
    const char *name = s->a.password_env ? s->a.password_env : "POSTRIDER_PASSWORD";
    const char *password = s->a.password ? s->a.password : getenv(name);
    if (password) {
        text_add_cstr(&s->password, password);
        return true;
    }
    if (s->a.password_env) {
        text_add_format(&s->error, "the environment has no %s", s->a.password_env);
        return false;
    }
    return secret_ask_twice("Password: ", NULL, &s->password, &s->error);
}

static bool take_content(struct send *s)
{
    if (s->a.message_file) {
        struct text raw = { 0 };
        bool ok = strcmp(s->a.message_file, "-") == 0
                      ? input_read_descriptor(STDIN_FILENO, "standard input", &raw, &s->error)
                      : input_read_file(s->a.message_file, &raw, &s->error);
        compose_add_crlf(&s->given_message, text_slice(&raw));
        text_free(&raw);
        return ok;
    }
    if (s->a.body)
        text_add_cstr(&s->body, s->a.body);
    else if (isatty(STDIN_FILENO) || s->a.password_stdin)
        text_add_cstr(&s->body, "This is a test message, sent with `postrider send`.\n");
    else if (!input_read_descriptor(STDIN_FILENO, "standard input", &s->body, &s->error))
        return false;
    s->attachments = memory_new(s->a.attach.count * sizeof(*s->attachments));
    s->attachment_octets = memory_new(s->a.attach.count * sizeof(*s->attachment_octets));
    for (size_t i = 0; i < s->a.attach.count; i++) {
        const char *slash = strrchr(s->a.attach.items[i], '/');
        if (!input_read_file(s->a.attach.items[i], &s->attachment_octets[i], &s->error))
            return false;
        s->attachments[i] =
            (struct compose_attachment){ .name = slice_from_cstr(slash ? slash + 1 : s->a.attach.items[i]),
                                         .octets = text_slice(&s->attachment_octets[i]) };
    }
    s->headers = memory_new(s->a.headers.count * sizeof(*s->headers));
    for (size_t i = 0; i < s->a.headers.count; i++)
        s->headers[i] = slice_from_cstr(s->a.headers.items[i]);
    return true;
}

static bool take_tls(struct send *s)
{
    if (s->tls == CONVERSATION_TLS_NONE)
        return true;
    if (s->a.ca_file && !input_read_file(s->a.ca_file, &s->ca_pem, &s->error))
        return false;
    s->tls_context = tls_client_new(
        &(struct tls_client_params){ .verify = s->a.verify || s->a.ca_file, .ca_pem = text_slice(&s->ca_pem) },
        &s->error);
    return s->tls_context != NULL;
}

/* the conversation --------------------------------------------------------------------------------------------- */

static bool compose(struct send *s)
{
    text_clear(&s->message);
    return compose_message(&s->message,
                           &(struct compose){ .from = slice_from_cstr(s->a.from),
                                              .to = s->to,
                                              .to_count = s->a.to.count,
                                              .subject = slice_from_cstr(s->a.subject),
                                              .body = text_slice(&s->body),
                                              .headers = s->headers,
                                              .header_count = s->a.headers.count,
                                              .attachments = s->attachments,
                                              .attachment_count = s->a.attach.count,
                                              .now_ms = clock_wall_ms(),
                                              .hostname = text_slice(&s->hostname) },
                           &s->error);
}

static bool next_message(void *context, uint64_t number, slice *content)
{
    struct send *s = context;
    if (number >= s->a.count)
        return false;
    if (s->a.message_file) {
        *content = text_slice(&s->given_message);
        return true;
    }
    if (number > 0 && !compose(s)) /* the first stands there, checked; each has its own Message-ID */
        return false;
    *content = text_slice(&s->message);
    return true;
}

static void show(void *context, char direction, slice line)
{
    static const enum print_style styles[] = { ['<'] = STYLE_GOOD, ['>'] = STYLE_PLAIN, ['*'] = STYLE_FAINT };
    enum print_style style = styles[(unsigned char)direction];
    (void)context;
    if (direction == '<' && line.len && (line.ptr[0] == '4' || line.ptr[0] == '5'))
        style = STYLE_BAD;
    printf("%c ", direction);
    print_styled(style, line);
    putchar('\n');
    fflush(stdout);
}

static json_t *json_of_status(struct status status)
{
    struct text text = { 0 };
    if (status.class)
        text_add_status(&text, status);
    json_t *value = json_stringn(text.ptr ? text.ptr : "", text.len);
    text_free(&text);
    return value;
}

/* Replies may hold any octet; JSON may not. */
static json_t *json_of_words(slice words)
{
    struct text harmless = { 0 };
    text_add_harmless(&harmless, words);
    json_t *value = json_stringn(harmless.ptr ? harmless.ptr : "", harmless.len);
    text_free(&harmless);
    return value;
}

static void print_result(const struct send *s, const struct conversation *c)
{
    json_t *result = json_object(), *recipients = json_array();
    for (size_t i = 0; i < c->recipient_count; i++) {
        const struct conversation_recipient *r = &c->recipients[i];
        json_t *one = json_object();
        json_object_set_new(one, "forward_path", json_of_words(r->mailbox));
        json_object_set_new(one, "accepted", json_boolean(r->is_accepted));
        json_object_set_new(one, "reply_code", json_integer(r->code));
        json_object_set_new(one, "status", json_of_status(r->status));
        json_object_set_new(one, "reply", json_of_words(text_slice(&r->reply)));
        json_array_append_new(recipients, one);
    }
    json_object_set_new(result, "ok", json_boolean(c->end == CONVERSATION_OK));
    json_object_set_new(result, "accepted_messages", json_integer((json_int_t)c->accepted_count));
    json_object_set_new(result, "reply_code", json_integer(c->code));
    json_object_set_new(result, "status", json_of_status(c->status));
    json_object_set_new(result, "reply", json_of_words(text_slice(&c->words)));
    json_object_set_new(result, "tls", json_of_words(text_slice(&c->tls_words)));
    json_object_set_new(result, "duration_ms", json_integer((json_int_t)(clock_monotonic_ms() - s->started_ms)));
    json_object_set_new(result, "recipients", recipients);
    print_json(result);
    json_decref(result);
}

static void say_failure(const struct conversation *c)
{
    struct text words = { 0 };
    text_add_harmless(&words, text_slice(&c->words));
    if (c->code)
        fprintf(stderr, "postrider send: not accepted: %u %s\n", c->code, text_cstr(&words));
    else
        fprintf(stderr, "postrider send: %s\n", text_cstr(&words));
    text_free(&words);
}

static int converse(struct send *s)
{
    static const int exit_codes[] = { [CONVERSATION_OK] = EXIT_SUCCESS,
                                      [CONVERSATION_NO_SERVER] = EXIT_UNAVAILABLE,
                                      [CONVERSATION_TRANSIENT] = EXIT_TEMPORARY,
                                      [CONVERSATION_REFUSED] = EXIT_NEGATIVE,
                                      [CONVERSATION_NOT_SIGNED_IN] = EXIT_NOT_ALLOWED };
    bool is_silent = s->a.quiet || s->a.json;
    struct conversation c = { .addresses = s->addresses,
                              .address_count = s->address_count,
                              .tls = s->tls,
                              .tls_context = s->tls_context,
                              .server_name = text_slice(&s->host),
                              .username = slice_from_cstr(s->a.user),
                              .password = text_slice(&s->password),
                              .may_sign_in_without_tls = s->tls == CONVERSATION_TLS_NONE,
                              .ehlo_name = s->a.helo ? slice_from_cstr(s->a.helo) : text_slice(&s->hostname),
                              .reverse_path = slice_from_cstr(s->a.from),
                              .recipients = s->recipients,
                              .recipient_count = s->a.to.count,
                              .timeout_ms = s->a.timeout_ms,
                              .next_message = next_message,
                              .show = is_silent ? NULL : show,
                              .context = s };
    s->started_ms = clock_monotonic_ms();
    conversation_run(&c);
    if (s->a.json)
        print_result(s, &c);
    if (c.end != CONVERSATION_OK && !s->a.json)
        say_failure(&c);
    int exit_code = exit_codes[c.end];
    conversation_free(&c);
    return exit_code;
}

static bool prepare(struct send *s, int *exit_code)
{
    if (!choose_tls(s) || !take_addresses(s))
        return mistake(s, exit_code);
    if (!find_server(s)) {
        fprintf(stderr, "postrider send: %s\n", text_cstr(&s->error));
        *exit_code = EXIT_UNAVAILABLE;
        return false;
    }
    text_add_hostname(&s->hostname);
    if (!take_password(s) || !take_content(s) || !take_tls(s) || (!s->a.message_file && !compose(s)))
        return mistake(s, exit_code);
    return true;
}

static void clear(struct send *s)
{
    memory_wipe(s->password.ptr, s->password.len);
    struct text *texts[] = { &s->host,          &s->password, &s->hostname, &s->body,
                             &s->given_message, &s->ca_pem,   &s->message,  &s->error };
    for (size_t i = 0; i < COUNT(texts); i++)
        text_free(texts[i]);
    for (size_t i = 0; s->attachment_octets && i < s->a.attach.count; i++)
        text_free(&s->attachment_octets[i]);
    memory_free(s->attachment_octets);
    memory_free(s->attachments);
    memory_free(s->recipients);
    memory_free(s->to);
    memory_free(s->headers);
    arguments_list_free(&s->a.to);
    arguments_list_free(&s->a.attach);
    arguments_list_free(&s->a.headers);
    if (s->tls_context)
        tls_context_release(s->tls_context);
}

int send_main(int argc, char **argv)
{
    struct send s = {
        .a = { .tls = "starttls", .subject = "Test from postrider send", .count = 1, .timeout_ms = MINUTES(5) }
    };
    const struct argument rows[] = {
        { "server", 's', ARGUMENT_TEXT, &s.a.server, "HOST:PORT",
          "where to (port 25, or 465 with --tls implicit, when left out)" },
        { "from", 'f', ARGUMENT_TEXT, &s.a.from, "ADDRESS", "reverse-path and From:; '<>' for the null sender" },
        { "to", 't', ARGUMENT_LIST, &s.a.to, "ADDRESS", "recipient; may be repeated" },
        { "subject", 0, ARGUMENT_TEXT, &s.a.subject, "TEXT", "Subject:" },
        { "body", 'b', ARGUMENT_TEXT, &s.a.body, "TEXT", "text (default: standard input, when it is not a terminal)" },
        { "attach", 'a', ARGUMENT_LIST, &s.a.attach, "FILE", "attach a file; may be repeated" },
        { "header", 0, ARGUMENT_LIST, &s.a.headers, "'NAME: VALUE'", "one more field; may be repeated" },
        { "message", 'm', ARGUMENT_TEXT, &s.a.message_file, "FILE",
          "send this file as it is (- for standard input) instead of all that" },
        { "tls", 0, ARGUMENT_TEXT, &s.a.tls, "HOW", "none, starttls (when offered; default), required, or implicit" },
        { "verify", 0, ARGUMENT_FLAG, &s.a.verify, NULL, "the server's certificate must be valid for its name" },
        { "ca", 0, ARGUMENT_TEXT, &s.a.ca_file, "FILE", "verify with the authorities of this PEM file" },
        { "user", 'u', ARGUMENT_TEXT, &s.a.user, "NAME", "sign in; the password is asked for, unless given so:" },
        { "password-file", 0, ARGUMENT_TEXT, &s.a.password_file, "FILE", "first line of this file" },
        { "password-env", 0, ARGUMENT_TEXT, &s.a.password_env, "VARIABLE",
          "from the environment (default POSTRIDER_PASSWORD)" },
        { "password-stdin", 0, ARGUMENT_FLAG, &s.a.password_stdin, NULL, "first line of standard input" },
        { "password", 0, ARGUMENT_TEXT, &s.a.password, "TEXT", "here, where others on this machine can see it" },
        { "helo", 0, ARGUMENT_TEXT, &s.a.helo, "NAME", "our name in EHLO (default: this machine's)" },
        { "count", 'n', ARGUMENT_NUMBER, &s.a.count, "N", "send N messages over the one connection" },
        { "timeout", 0, ARGUMENT_DURATION, &s.a.timeout_ms, "DURATION", "wait this long for each reply (default 5m)" },
        { "quiet", 'q', ARGUMENT_FLAG, &s.a.quiet, NULL, "do not show the dialogue" },
        { "json", 'j', ARGUMENT_FLAG, &s.a.json, NULL, "show the result as one JSON object instead" },
    };
    const struct arguments arguments = {
        "send --server HOST[:PORT] --from ADDRESS --to ADDRESS... [OPTION...]",
        "Sends a message by SMTP and shows the dialogue: > what we say, < what the server says, * remarks.\n"
        "Exit code: 0 accepted, 1 refused, 75 refused for now (4xx), 69 no server, 77 not signed in, 64 usage.",
        rows,
        COUNT(rows),
        "  postrider send --server 127.0.0.1:2525 --from me@example.org --to ann@example.test\n"
        "  postrider send -s mail.example.org:587 --tls required --user me@example.org -f me@example.org -t "
        "you@example.net \\\n"
        "      --subject Report --body 'See the attachment.' --attach report.pdf\n",
        NULL
    };
    int exit_code = EXIT_SUCCESS;
    signal(SIGPIPE, SIG_IGN);
    s.arguments = &arguments;
    if (arguments_read(&arguments, argc, argv, &exit_code) && prepare(&s, &exit_code))
        exit_code = converse(&s);
    clear(&s);
    return exit_code;
}
