#include "base/clock.h"
#include "base/nearest.h"
#include "programs/ctl/arguments.h"
#include "programs/ctl/client.h"
#include "programs/ctl/ctl.h"
#include "programs/ctl/print.h"
#include "programs/ctl/protocol.h"
#include <stdlib.h>
#include <unistd.h>

/* What all queue commands take; some rows are not offered by each. */
struct queue_arguments {
    struct client_place place;
    struct argument_list ids;
    const char *sender, *recipient, *domain, *status;
    uint64_t older_ms, newer_ms, limit;
    bool json, all, yes, quiet;
};
#define FILTER_ROWS(a)                                                                                                   \
    {                                                                                                                    \
        "sender", 's', ARGUMENT_TEXT, &(a).sender, "ADDRESS", "from this address, @DOMAIN, or '<>' for the null sender"  \
    },                                                                                                                   \
        { "recipient", 'r', ARGUMENT_TEXT, &(a).recipient, "ADDRESS", "to this address or @DOMAIN" },                    \
        { "domain", 'd', ARGUMENT_TEXT, &(a).domain, "DOMAIN", "with a recipient in this domain" },                      \
        { "status", 0, ARGUMENT_TEXT, &(a).status, "STATUS", "queued, active, deferred or held" },                       \
        { "older", 0, ARGUMENT_DURATION, &(a).older_ms, "DURATION", "in the queue for at least this long, such as 2h" }, \
        { "newer", 0, ARGUMENT_DURATION, &(a).newer_ms, "DURATION", "in the queue for at most this long" },              \
        { "json", 'j', ARGUMENT_FLAG, &(a).json, NULL, "one JSON object a line" }, CLIENT_PLACE_ROWS((a).place)

static bool has_filter(const struct queue_arguments *a)
{
    return a->ids.count || a->sender || a->recipient || a->domain || a->status || a->older_ms || a->newer_ms;
}

static void set_text(json_t *object, const char *name, const char *value)
{
    if (value)
        json_object_set_new(object, name, json_string(value));
}

static void set_number(json_t *object, const char *name, uint64_t value)
{
    if (value)
        json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *make_filter(const struct queue_arguments *a)
{
    json_t *filter = json_object();
    if (a->ids.count) {
        json_t *ids = json_array();
        for (size_t i = 0; i < a->ids.count; i++)
            json_array_append_new(ids, json_string(a->ids.items[i]));
        json_object_set_new(filter, "ids", ids);
    }
    set_text(filter, "sender", a->sender && strcmp(a->sender, "<>") == 0 ? "" : a->sender);
    set_text(filter, "recipient", a->recipient);
    set_text(filter, "domain", a->domain);
    set_text(filter, "status", a->status);
    set_number(filter, "older_ms", a->older_ms);
    set_number(filter, "newer_ms", a->newer_ms);
    return filter;
}

static json_t *make_request(const char *command, const struct queue_arguments *a)
{
    json_t *request = json_object();
    json_object_set_new(request, "command", json_string(command));
    json_object_set_new(request, "filter", make_filter(a));
    return request;
}

static bool print_item_as_json(void *context, const json_t *item)
{
    (void)context;
    print_json(item);
    return true;
}

static enum print_style style_of(slice state)
{
    if (slice_eq(state, SLICE("deferred")) || slice_eq(state, SLICE("held")))
        return STYLE_WARNING;
    if (slice_eq(state, SLICE("failed")))
        return STYLE_BAD;
    return STYLE_GOOD;
}

/* "attempt 3, next in 20 minutes: 451 4.4.1 connection timed out (connect, mx1.example.com)" */
static void add_recipient_words(struct text *to, const json_t *recipient, uint64_t now_ms)
{
    uint64_t attempts = json_number(recipient, "attempts"), next_ms = json_number(recipient, "next_attempt_ms"),
             code = json_number(recipient, "reply_code");
    slice status = json_text(recipient, "status"), reply = json_text(recipient, "reply"),
          stage = json_text(recipient, "stage"), remote = json_text(recipient, "remote");
    text_add(to, json_text(recipient, "state"));
    if (attempts == 0)
        return;
    text_add_format(to, ", tried %s", attempts == 1 ? "once" : "");
    if (attempts > 1)
        text_add_format(to, "%llu times", (unsigned long long)attempts);
    if (next_ms) {
        text_add(to, SLICE(", next "));
        text_add_when(to, next_ms, now_ms);
    }
    text_add(to, SLICE(":"));
    if (code)
        text_add_format(to, " %u", (unsigned)code);
    if (status.len)
        text_add_format(to, " " SLICE_FMT, SLICE_ARG(status));
    if (reply.len)
        text_add_format(to, " " SLICE_FMT, SLICE_ARG(reply));
    if (stage.len)
        text_add_format(to, " (" SLICE_FMT "%s" SLICE_FMT ")", SLICE_ARG(stage), remote.len ? ", " : "",
                        SLICE_ARG(remote));
}

static slice shown_sender(const json_t *item)
{
    slice sender = json_text(item, "reverse_path");
    return sender.len ? sender : SLICE("<>");
}

static bool print_list_item(void *context, const json_t *item)
{
    uint64_t now_ms = *(const uint64_t *)context, arrived_ms = json_number(item, "arrived_ms");
    struct text line = { 0 };
    print_styled(STYLE_STRONG, json_text(item, "message"));
    putchar(' ');
    text_add_format(&line, " %-8.*s", SLICE_ARG(json_text(item, "state")));
    print_styled(style_of(json_text(item, "state")), text_slice(&line));
    text_clear(&line);
    text_add(&line, SLICE("  "));
    text_add_size_short(&line, json_number(item, "size_octets"));
    text_add(&line, SLICE("  "));
    text_add_duration_words(&line, now_ms > arrived_ms ? now_ms - arrived_ms : 0);
    text_add(&line, SLICE("  from "));
    text_add(&line, shown_sender(item));
    print_plain(text_slice(&line));
    putchar('\n');

    size_t index;
    const json_t *recipient;
    json_array_foreach(json_object_get(item, "recipients"), index, recipient)
    {
        text_clear(&line);
        text_add_format(&line, "    to " SLICE_FMT "  ", SLICE_ARG(json_text(recipient, "forward_path")));
        print_plain(text_slice(&line));
        text_clear(&line);
        add_recipient_words(&line, recipient, now_ms);
        print_styled(STYLE_FAINT, text_slice(&line));
        putchar('\n');
    }
    uint64_t all = json_number(item, "recipient_count"), listed = json_array_size(json_object_get(item, "recipients"));
    if (all > listed)
        printf("    and %llu more recipients\n", (unsigned long long)(all - listed));
    text_free(&line);
    return true;
}

static void print_pair(const char *name, slice value)
{
    if (value.len == 0)
        return;
    printf("%-12s ", name);
    print_plain(value);
    putchar('\n');
}

static void print_times(const json_t *item, uint64_t now_ms)
{
    struct text line = { 0 };
    text_add_when(&line, json_number(item, "arrived_ms"), now_ms);
    print_pair("arrived", text_slice(&line));
    text_clear(&line);
    if (slice_eq(json_text(item, "state"), SLICE("held")))
        text_add(&line, SLICE("held: not tried until `postrider queue release`"));
    else if (slice_eq(json_text(item, "state"), SLICE("active")))
        text_add(&line, SLICE("being tried now"));
    else
        text_add_when(&line, size_max(json_number(item, "next_attempt_ms"), now_ms), now_ms);
    print_pair("next attempt", text_slice(&line));
    text_free(&line);
}

static void print_recipient(const json_t *recipient, uint64_t now_ms)
{
    struct text line = { 0 };
    slice original = json_text(recipient, "original"), address = json_text(recipient, "remote_address"),
          tls = json_text(recipient, "tls");
    fputs("\n  ", stdout);
    print_styled(STYLE_STRONG, json_text(recipient, "forward_path"));
    if (original.len)
        text_add_format(&line, "  (for " SLICE_FMT ")", SLICE_ARG(original));
    print_plain(text_slice(&line));
    fputs("\n      ", stdout);
    text_clear(&line);
    add_recipient_words(&line, recipient, now_ms);
    print_styled(style_of(json_text(recipient, "state")), text_slice(&line));
    putchar('\n');
    text_clear(&line);
    if (address.len) {
        text_add_format(&line, "      at " SLICE_FMT ", %s" SLICE_FMT, SLICE_ARG(address), tls.len ? "" : "without TLS",
                        SLICE_ARG(tls));
        print_plain(text_slice(&line));
        putchar('\n');
    }
    text_free(&line);
}

static void print_header(slice header)
{
    slice line;
    if (header.len == 0)
        return;
    puts("\nheader section");
    while (slice_next_line(&header, &line)) {
        if (line.len == 0)
            break;
        fputs("  ", stdout);
        print_plain(line);
        putchar('\n');
    }
}

static bool print_shown_item(void *context, const json_t *item)
{
    uint64_t now_ms = *(const uint64_t *)context;
    struct text line = { 0 };
    print_pair("message", json_text(item, "message"));
    print_pair("state", json_text(item, "state"));
    print_pair("sender", shown_sender(item));
    print_pair("account", json_text(item, "account"));
    text_add_format(&line, SLICE_FMT "%s" SLICE_FMT "  (helo " SLICE_FMT ", listener " SLICE_FMT ")",
                    SLICE_ARG(json_text(item, "client_name")), json_text(item, "client_name").len ? " " : "",
                    SLICE_ARG(json_text(item, "client_address")), SLICE_ARG(json_text(item, "helo")),
                    SLICE_ARG(json_text(item, "listener")));
    print_pair("client", text_slice(&line));
    text_clear(&line);
    text_add_format(&line, "%llu octets", (unsigned long long)json_number(item, "size_octets"));
    print_pair("size", text_slice(&line));
    print_times(item, now_ms);
    print_pair("envelope id", json_text(item, "envelope_id"));
    printf("\nrecipients (%llu of %llu still open)", (unsigned long long)json_number(item, "open_recipients"),
           (unsigned long long)json_number(item, "recipient_count"));
    size_t index;
    const json_t *recipient;
    json_array_foreach(json_object_get(item, "recipients"), index, recipient) print_recipient(recipient, now_ms);
    print_header(json_text(item, "header"));
    putchar('\n');
    text_free(&line);
    return true;
}

static int ask(const struct queue_arguments *a, json_t *request, bool (*item)(void *, const json_t *), uint64_t *count,
               bool *more)
{
    int exit_code = EXIT_SUCCESS;
    uint64_t now_ms = clock_wall_ms();
    struct client *client = client_open(&a->place, CONTROL_SOCKET, false, &exit_code);
    if (!client) {
        json_decref(request);
        return exit_code;
    }
    exit_code = client_ask(client, request, a->json ? print_item_as_json : item, &now_ms, count, more);
    client_close(client);
    return exit_code;
}

static bool check_status(const struct arguments *arguments, const char *status, int *exit_code)
{
    static const char *const words[] = { "queued", "active", "deferred", "held" };
    for (size_t i = 0; status && i < COUNT(words); i++)
        if (strcmp(status, words[i]) == 0)
            return true;
    if (!status)
        return true;
    *exit_code = arguments_mistake(arguments, "--status is one of queued, active, deferred, held; not '%s'", status);
    return false;
}

static int run_list(int argc, char **argv)
{
    struct queue_arguments a = { .limit = 1000 };
    const struct argument rows[] = {
        FILTER_ROWS(a),
        { "limit", 'n', ARGUMENT_NUMBER, &a.limit, "N", "at most this many (default 1000, 0: all)" },
    };
    const struct arguments arguments = { "queue list [FILTER...] [ID...]",
                                         "Lists the messages in the queue, with what became of the last attempt.",
                                         rows,
                                         COUNT(rows),
                                         "  postrider queue list --status deferred --domain example.org\n"
                                         "  postrider queue list --older 1d --json | jq -r .message\n",
                                         &a.ids };
    int exit_code = EXIT_SUCCESS;
    uint64_t count = 0;
    bool more = false;
    if (arguments_read(&arguments, argc, argv, &exit_code) && check_status(&arguments, a.status, &exit_code)) {
        json_t *request = make_request("queue_list", &a);
        json_object_set_new(request, "limit", json_integer((json_int_t)a.limit));
        exit_code = ask(&a, request, print_list_item, &count, &more);
        if (exit_code == EXIT_SUCCESS && count == 0 && has_filter(&a))
            exit_code = EXIT_NEGATIVE;
        if (exit_code <= EXIT_NEGATIVE && !a.json && count == 0)
            puts(has_filter(&a) ? "nothing in the queue matches" : "the queue is empty");
        else if (exit_code == EXIT_SUCCESS && !a.json)
            printf("%llu message%s%s\n", (unsigned long long)count, count == 1 ? "" : "s",
                   more ? " shown, there are more (--limit 0 shows all)" : "");
    }
    arguments_list_free(&a.ids);
    return exit_code;
}

static int run_show(int argc, char **argv)
{
    struct queue_arguments a = { 0 };
    const struct argument rows[] = {
        { "json", 'j', ARGUMENT_FLAG, &a.json, NULL, "one JSON object a line" },
        CLIENT_PLACE_ROWS(a.place),
    };
    const struct arguments arguments = { "queue show ID...",
                                         "Shows a message: its envelope, each recipient with attempts, last reply and "
                                         "next attempt, and its header section.",
                                         rows,
                                         COUNT(rows),
                                         "  postrider queue show 0000019a3c5e0001\n",
                                         &a.ids };
    int exit_code = EXIT_SUCCESS;
    uint64_t count = 0;
    if (arguments_read(&arguments, argc, argv, &exit_code)) {
        if (a.ids.count == 0)
            exit_code = arguments_mistake(&arguments, "which message? Give its id, as `postrider queue list` shows it");
        else
            exit_code = ask(&a, make_request("queue_show", &a), print_shown_item, &count, NULL);
        if (exit_code == EXIT_SUCCESS && count < a.ids.count) {
            fprintf(stderr, "postrider: %llu of %zu ids %s not in the queue (delivered or removed meanwhile?)\n",
                    (unsigned long long)(a.ids.count - count), a.ids.count, a.ids.count - count == 1 ? "is" : "are");
            exit_code = EXIT_NEGATIVE;
        }
    }
    arguments_list_free(&a.ids);
    return exit_code;
}

static const struct change {
    const char *name, *command, *usage, *about, *examples, *done;
} changes[] = {
    { "retry", "queue_retry", "queue retry [FILTER...] [ID...]", "Tries messages now instead of at their next attempt.",
      "  postrider queue retry --domain example.org\n  postrider queue retry --all\n", "will be tried now" },
    { "hold", "queue_hold", "queue hold [FILTER...] [ID...]",
      "Keeps messages in the queue without trying them, until released.",
      "  postrider queue hold --sender news@example.org\n", "held" },
    { "release", "queue_release", "queue release [FILTER...] [ID...]", "Lets held messages go on.",
      "  postrider queue release --status held\n  postrider queue release 0000019a3c5e0001\n", "released" },
    { "remove", "queue_remove", "queue remove [FILTER...] [ID...]",
      "Removes messages for good: nothing is delivered, and no report goes to the sender.",
      "  postrider queue remove 0000019a3c5e0001\n  postrider queue remove --sender '<>' --older 3d --yes\n",
      "removed" },
};

static bool print_changed_item(void *context, const json_t *item)
{
    (void)context;
    print_plain(json_text(item, "message"));
    putchar('\n');
    return true;
}

static bool ignore_item(void *context, const json_t *item)
{
    (void)context;
    (void)item;
    return true;
}

/* Only at a terminal, and only for what was not named one by one. */
static bool is_confirmed(const struct queue_arguments *a, int *exit_code)
{
    char answer[8] = "";
    uint64_t count = 0;
    if (a->yes || a->ids.count || !isatty(STDIN_FILENO))
        return true;
    json_t *request = make_request("queue_list", a);
    json_object_set_new(request, "limit", json_integer(0));
    json_object_set_new(request, "recipients", json_integer(0));
    struct queue_arguments quiet = *a;
    quiet.json = false;
    *exit_code = ask(&quiet, request, ignore_item, &count, NULL);
    if (*exit_code != EXIT_SUCCESS || count == 0)
        return *exit_code == EXIT_SUCCESS;
    printf("Remove %llu message%s for good? [y/N] ", (unsigned long long)count, count == 1 ? "" : "s");
    fflush(stdout);
    *exit_code = EXIT_NEGATIVE;
    return fgets(answer, sizeof(answer), stdin) && ascii_lower(answer[0]) == 'y';
}

static int run_change_with(const struct change *change, const struct arguments *arguments, struct queue_arguments *a)
{
    int exit_code = EXIT_SUCCESS;
    uint64_t count = 0;
    if (!check_status(arguments, a->status, &exit_code))
        return exit_code;
    if (!has_filter(a) && !a->all)
        return arguments_mistake(arguments, "which messages? Give ids, a filter, or --all");
    if (has_filter(a) && a->all)
        return arguments_mistake(arguments, "--all does not go with ids or filters");
    if (strcmp(change->name, "remove") == 0 && !is_confirmed(a, &exit_code))
        return exit_code;
    json_t *request = make_request(change->command, a);
    if (a->all)
        json_object_set_new(request, "all", json_true());
    exit_code = ask(a, request, print_changed_item, &count, NULL);
    if (exit_code != EXIT_SUCCESS)
        return exit_code;
    if (!a->json)
        fprintf(stderr, count ? "%llu message%s %s\n" : "nothing in the queue matches\n", (unsigned long long)count,
                count == 1 ? "" : "s", change->done);
    return count ? EXIT_SUCCESS : EXIT_NEGATIVE;
}

static int run_change(int argc, char **argv)
{
    const struct change *change = NULL;
    for (size_t i = 0; i < COUNT(changes); i++)
        if (strcmp(argv[0], changes[i].name) == 0)
            change = &changes[i];
    assert(change);
    struct queue_arguments a = { 0 };
    const struct argument rows[] = {
        FILTER_ROWS(a),
        { "all", 'a', ARGUMENT_FLAG, &a.all, NULL, "every message in the queue" },
        { "yes", 'y', ARGUMENT_FLAG, &a.yes, NULL, "do not ask before removing" },
    };
    const struct arguments arguments = { change->usage, change->about, rows, COUNT(rows), change->examples, &a.ids };
    int exit_code = EXIT_SUCCESS;
    if (arguments_read(&arguments, argc, argv, &exit_code))
        exit_code = run_change_with(change, &arguments, &a);
    arguments_list_free(&a.ids);
    return exit_code;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} commands[] = {
    { "list", run_list, "what is in the queue, and why it is still there" },
    { "show", run_show, "everything about one message" },
    { "retry", run_change, "try now" },
    { "hold", run_change, "keep without trying" },
    { "release", run_change, "let held messages go on" },
    { "remove", run_change, "remove for good" },
};

static int say_usage(FILE *to, int exit_code)
{
    fputs("Usage: postrider queue COMMAND [FILTER...] [ID...]\n\nCommands (each has --help and --json):\n", to);
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].about);
    fputs("\nExamples:\n"
          "  postrider queue list --status deferred\n"
          "  postrider queue show 0000019a3c5e0001\n"
          "  postrider queue retry --domain example.org\n",
          to);
    return exit_code;
}

int queue_main(int argc, char **argv)
{
    if (argc < 2)
        return say_usage(stderr, EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return say_usage(stdout, EXIT_SUCCESS);
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    struct nearest nearest = nearest_start(slice_from_cstr(argv[1]));
    struct text hint = { 0 };
    for (size_t i = 0; i < COUNT(commands); i++)
        nearest_offer(&nearest, slice_from_cstr(commands[i].name));
    text_add_nearest(&hint, &nearest);
    fprintf(stderr, "postrider queue: there is no command '%s'%s\nTry: postrider queue --help\n", argv[1],
            text_cstr(&hint));
    text_free(&hint);
    return EXIT_USAGE;
}
