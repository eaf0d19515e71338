#include "programs/mta/control_request.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The state of a message is the schedule's; here it stands in the message. */
const char *schedule_state(const struct schedule *schedule, const struct spool_message *message)
{
    (void)schedule;
    return message->held ? "held" : "queued";
}

static void reads_requests(void **state)
{
    (void)state;
    static const struct {
        slice line;
        const char *error; /* part of it; NULL: understood */
    } cases[] = {
        { LIT("{\"command\":\"queue_list\"}"), NULL },
        { LIT("{\"command\":\"queue_list\",\"filter\":{},\"limit\":5,\"recipients\":0}"), NULL },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"sender\":\"\",\"domain\":\"example.org\",\"status\":\"held\"}"
              "}"),
          NULL },
        { LIT("{\"command\":\"queue_show\",\"filter\":{\"ids\":[\"0123456789abcdef\"]}}"), NULL },
        { LIT("{\"command\":\"queue_remove\",\"all\":true}"), NULL },
        { LIT("{\"command\":\"queue_hold\",\"filter\":{\"older_ms\":1}}"), NULL },
        { LIT("{\"command\":\"status\"}"), NULL },
        { LIT("{\"command\":\"submit\"}"), NULL },
        { LIT(""), "not JSON" },
        { LIT("queue_list"), "not JSON" },
        { LIT("[]"), "object" },
        { LIT("{}"), "no command ''" },
        { LIT("{\"command\":1}"), "no command ''" },
        { LIT("{\"command\":\"queue_eat\"}"), "no command 'queue_eat'" },
        { LIT("{\"command\":\"queue_list\",\"command\":\"status\"}"), "not JSON" },
        { LIT("{\"command\":\"queue_list\",\"filtre\":{}}"), "unknown field filtre" },
        { LIT("{\"command\":\"queue_list\",\"filter\":[]}"), "object" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"form\":\"a@b.org\"}}"), "unknown field form" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"sender\":7}}"), "sender is a text" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"sender\":\"not an address\"}}"), "neither an address" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"sender\":\"@\"}}"), "neither an address" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"recipient\":\"a\\u0000@b.org\"}}"), "neither an address" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"domain\":\"\"}}"), "domain is empty" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"status\":\"stuck\"}}"), "status is one of" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"older_ms\":-1}}"), "older_ms is a number" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"older_ms\":1.5}}"), "older_ms is a number" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"ids\":\"0123456789abcdef\"}}"), "ids is a list" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"ids\":[7]}}"), "not the id" },
        { LIT("{\"command\":\"queue_list\",\"filter\":{\"ids\":[\"0123\"]}}"), "'0123' is not the id" },
        { LIT("{\"command\":\"queue_list\",\"limit\":99999999999999999999}"), "not JSON" },
        { LIT("{\"command\":\"queue_show\"}"), "which message" },
        { LIT("{\"command\":\"queue_remove\"}"), "which messages" },
        { LIT("{\"command\":\"queue_remove\",\"filter\":{}}"), "which messages" },
        { LIT("{\"command\":\"queue_remove\",\"all\":\"true\"}"), "which messages" },
        { LIT("{\"command\":\"queue_remove\",\"filter\":{\"older_ms\":0}}"), "which messages" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = { 0 };
        struct control_request request;
        struct text error = { 0 };
        bool ok = control_request_parse(cases[i].line, &arena, &request, &error);
        bool as_wanted = cases[i].error
                             ? !ok && slice_find(text_slice(&error), slice_from_cstr(cases[i].error)) != SLICE_NOT_FOUND
                             : ok;
        if (!as_wanted)
            fail_msg(SLICE_FMT " gave \"%s\"", SLICE_ARG(cases[i].line), text_cstr(&error));
        arena_free(&arena);
        text_free(&error);
    }
}

static struct path path_of(const char *domain) { return (struct path){ SLICE("ann"), slice_from_cstr(domain) }; }

/* Two messages' worth of facts: from ann@example.org, an hour old, to one open and one finished recipient. */
static void filters(void **state)
{
    (void)state;
    static const struct {
        slice filter;
        bool matches;
    } cases[] = {
        { LIT("{}"), true },
        { LIT("{\"sender\":\"ann@example.org\"}"), true },
        { LIT("{\"sender\":\"<ann@EXAMPLE.org>\"}"), true },
        { LIT("{\"sender\":\"Ann@example.org\"}"), false },
        { LIT("{\"sender\":\"\"}"), false },
        { LIT("{\"sender\":\"@example.org\"}"), true },
        { LIT("{\"sender\":\".org\"}"), true },
        { LIT("{\"sender\":\".ample.org\"}"), false },
        { LIT("{\"recipient\":\"ann@open.example\"}"), true },
        { LIT("{\"recipient\":\"ann@alias.example\"}"), true },
        { LIT("{\"recipient\":\"ann@final.example\"}"), false },
        { LIT("{\"domain\":\"open.example\"}"), true },
        { LIT("{\"domain\":\"@Open.Example\"}"), true },
        { LIT("{\"domain\":\".example\"}"), true },
        { LIT("{\"domain\":\"alias.example\"}"), false },
        { LIT("{\"domain\":\"final.example\"}"), false },
        { LIT("{\"domain\":\"open.example\",\"recipient\":\"@other.example\"}"), false },
        { LIT("{\"status\":\"queued\"}"), true },
        { LIT("{\"status\":\"held\"}"), false },
        { LIT("{\"older_ms\":3600000}"), true },
        { LIT("{\"older_ms\":3600001}"), false },
        { LIT("{\"newer_ms\":3600000}"), true },
        { LIT("{\"newer_ms\":3599999}"), false },
        { LIT("{\"sender\":\"@example.org\",\"status\":\"held\"}"), false },
    };
    struct recipient recipients[] = {
        { .forward_path = path_of("final.example"), .original = path_of("final.example") },
        { .forward_path = path_of("open.example"), .original = path_of("alias.example") }
    };
    struct spool_recipient states[] = { { .is_final = true }, { .is_final = false } };
    struct envelope envelope = {
        .reverse_path = path_of("example.org"), .arrived_ms = 1000000, .recipients = recipients, .recipient_count = 2
    };
    struct spool_message message = { .envelope = &envelope, .recipients = states, .open_recipients = 1 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = { 0 };
        struct control_request request;
        struct text line = { 0 }, error = { 0 };
        text_add_format(&line, "{\"command\":\"queue_list\",\"filter\":" SLICE_FMT "}", SLICE_ARG(cases[i].filter));
        assert_true(control_request_parse(text_slice(&line), &arena, &request, &error));
        if (filter_matches(&request.filter, NULL, &message, 1000000 + 3600000) != cases[i].matches)
            fail_msg(SLICE_FMT, SLICE_ARG(cases[i].filter));
        arena_free(&arena);
        text_free(&line);
    }
}

static void null_sender_is_no_wildcard(void **state)
{
    (void)state;
    const struct pattern null_sender = { .kind = PATTERN_MAILBOX }, any = { 0 };
    assert_true(pattern_matches(&null_sender, (struct path){ 0 }));
    assert_false(pattern_matches(&null_sender, path_of("example.org")));
    assert_true(pattern_matches(&any, (struct path){ 0 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_requests),
        cmocka_unit_test(filters),
        cmocka_unit_test(null_sender_is_no_wildcard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
