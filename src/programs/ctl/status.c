#include "base/clock.h"
#include "programs/ctl/arguments.h"
#include "programs/ctl/client.h"
#include "programs/ctl/ctl.h"
#include "programs/ctl/print.h"
#include "programs/ctl/protocol.h"
#include <stdlib.h>

struct status_arguments {
    struct client_place place;
    bool json;
    uint64_t now_ms;
};

static unsigned long long number(const json_t *status, const char *field)
{
    return (unsigned long long)json_number(status, field);
}

static void print_destination(const json_t *destination, uint64_t now_ms)
{
    struct text line = { 0 };
    text_add_format(&line, "  %-32.*s %llu waiting, %llu deferred, %llu connections",
                    SLICE_ARG(json_text(destination, "name")), number(destination, "waiting"),
                    number(destination, "deferred"), number(destination, "connections"));
    print_plain(text_slice(&line));
    text_clear(&line);
    if (json_is_set(destination, "suspended")) {
        text_add(&line, SLICE(", does not answer; next probe "));
        text_add_when(&line, size_max(json_number(destination, "retry_ms"), now_ms), now_ms);
    }
    print_styled(STYLE_WARNING, text_slice(&line));
    putchar('\n');
    text_free(&line);
}

static void print_events(const json_t *events)
{
    const char *name;
    const json_t *value;
    bool is_first = true;
    json_object_foreach((json_t *)events, name, value)
    {
        if (is_first)
            puts("\nevents since the start");
        is_first = false;
        printf("  %-24s %lld\n", name, (long long)json_integer_value(value));
    }
}

static void print_spool(const json_t *status)
{
    struct text line = { 0 };
    slice state = json_text(status, "spool");
    bool is_good = slice_eq(state, SLICE("ok"));
    fputs("spool         ", stdout);
    print_styled(is_good ? STYLE_GOOD : STYLE_BAD, state);
    text_add(&line, SLICE(", "));
    text_add_size_short(&line, json_number(status, "live_octets"));
    text_add(&line, SLICE(" of mail in "));
    text_add_size_short(&line, json_number(status, "disk_octets"));
    text_add_format(&line, " on disk (%llu segments), ", number(status, "segments"));
    text_add_size_short(&line, json_number(status, "memory_octets"));
    text_add(&line, SLICE(" in memory\n"));
    print_raw(text_slice(&line));
    if (!is_good)
        puts("              new mail is refused for now; the log of the server says why");
    text_free(&line);
}

static bool print_status(void *context, const json_t *status)
{
    const struct status_arguments *a = context;
    if (a->json) {
        print_json(status);
        return true;
    }
    struct text line = { 0 };
    text_add_when(&line, json_number(status, "started_ms"), a->now_ms);
    printf("Postrider     %s, started %s, mta is pid %llu with %llu loop%s\n",
           json_string_value(json_object_get(status, "version")), text_cstr(&line), number(status, "pid"),
           number(status, "loops"), json_number(status, "loops") == 1 ? "" : "s");
    printf("sessions      %llu\n", number(status, "sessions"));
    printf("queue         %llu messages; recipients: %llu waiting, %llu deferred; %llu connections out\n",
           number(status, "messages"), number(status, "waiting"), number(status, "deferred"),
           number(status, "connections"));
    printf("destinations  %llu, of which %llu do not answer\n", number(status, "destinations"),
           number(status, "suspended_destinations"));
    print_spool(status);
    size_t index;
    const json_t *destination;
    json_array_foreach(json_object_get(status, "busiest"), index, destination)
    {
        if (index == 0)
            puts("\nwhere most mail waits");
        print_destination(destination, a->now_ms);
    }
    print_events(json_object_get(status, "events"));
    text_free(&line);
    return true;
}

int status_main(int argc, char **argv)
{
    struct status_arguments a = { .now_ms = clock_wall_ms() };
    const struct argument rows[] = {
        { "json", 'j', ARGUMENT_FLAG, &a.json, NULL, "as one JSON object" },
        CLIENT_PLACE_ROWS(a.place),
    };
    const struct arguments arguments = { "status [OPTION...]",
                                         "Shows what the running server is doing.",
                                         rows,
                                         COUNT(rows),
                                         "  postrider status\n  postrider status --json | jq .messages\n",
                                         NULL };
    int exit_code = EXIT_SUCCESS;
    if (!arguments_read(&arguments, argc, argv, &exit_code))
        return exit_code;
    struct client *client = client_open(&a.place, CONTROL_SOCKET, false, &exit_code);
    if (!client)
        return exit_code;
    json_t *request = json_object();
    json_object_set_new(request, "command", json_string("status"));
    exit_code = client_ask(client, request, print_status, &a, NULL, NULL);
    client_close(client);
    return exit_code;
}

int version_main(int argc, char **argv)
{
    static const struct arguments arguments = {
        "version", "Prints the version of this program.", NULL, 0, "  postrider version\n", NULL
    };
    int exit_code = EXIT_SUCCESS;
    /* also called as `postrider --version`: then argv[0] is no command's name, which does not matter */
    if (!arguments_read(&arguments, argc, argv, &exit_code))
        return exit_code;
    puts("postrider " POSTRIDER_VERSION);
    return EXIT_SUCCESS;
}
