#include "base/arena.h"
#include "directory/directory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add_alias(struct directory *d, const char *address, const char *targets)
{
    slice list[20], rest = slice_from_cstr(targets);
    size_t count = 0;
    bool more = true;
    while (more)
        rest = slice_cut(rest, ',', &list[count++], &more);
    directory_add_alias(d, slice_from_cstr(address), list, count);
}

static struct directory *example(void)
{
    struct directory *d = directory_new();
    directory_add_mailbox(d, SLICE("early@A.org")); /* before its domain: the order does not matter */
    directory_add_domain(d, SLICE("A.org"), SLICE(""), SLICE("+"));
    directory_add_domain(d, SLICE("b.org"), SLICE("ann@a.org"), SLICE("-"));
    directory_add_domain(d, SLICE("c.org"), SLICE("nobody@c.org"), SLICE(""));
    directory_add_domain(d, SLICE("d.org"), SLICE("out@outside.net"), SLICE("+"));
    directory_add_mailbox(d, SLICE("Ann@a.org"));
    directory_add_mailbox(d, SLICE("bob@a.org"));
    directory_add_mailbox(d, SLICE("bob+kept@a.org"));
    directory_add_mailbox(d, SLICE("mary-ann@b.org"));
    directory_add_mailbox(d, SLICE("\"odd name\"@a.org"));
    directory_add_mailbox(d, SLICE("x@not.hosted.org"));
    directory_add_mailbox(d, SLICE("not an address"));
    add_alias(d, "info@a.org", "ann@a.org,bob@a.org,ANN@A.ORG");
    add_alias(d, "all@a.org", "info@a.org,bob@a.org,x@outside.net,X@outside.net,x@OUTSIDE.net");
    add_alias(d, "copy@a.org", "copy@a.org,ann@a.org");
    directory_add_mailbox(d, SLICE("copy@a.org"));
    add_alias(d, "round1@a.org", "round2@a.org");
    add_alias(d, "round2@a.org", "round1@a.org,ann@a.org");
    add_alias(d, "self@a.org", "self@a.org");
    add_alias(d, "gone@a.org", "nobody1@a.org");
    add_alias(d, "half@a.org", "nobody2@a.org,ann@a.org");
    add_alias(d, "diamond@a.org", "left@a.org,right@a.org");
    add_alias(d, "left@a.org", "info@a.org");
    add_alias(d, "right@a.org", "info@a.org");
    add_alias(d, "ext@a.org", "ann+list@a.org");
    add_alias(d, "postmaster@b.org", "mary-ann@b.org");
    directory_finish(d);
    return d;
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        slice local, domain;
        enum directory_answer answer;
        const char *targets;
    } cases[] = {
        { LIT("ann"), LIT("a.org"), DIRECTORY_MAILBOX, "<Ann@a.org>" },
        { LIT("ANN"), LIT("A.Org"), DIRECTORY_MAILBOX, "<Ann@a.org>" },
        { LIT("\"ann\""), LIT("a.org"), DIRECTORY_MAILBOX, "<Ann@a.org>" },
        { LIT("\"a\\nn\""), LIT("a.org"), DIRECTORY_MAILBOX, "<Ann@a.org>" },
        { LIT("early"), LIT("a.org"), DIRECTORY_MAILBOX, "<early@A.org>" },
        { LIT("\"odd name\""), LIT("a.org"), DIRECTORY_MAILBOX, "<\"odd name\"@a.org>" },
        { LIT("ann+shop"), LIT("a.org"), DIRECTORY_MAILBOX, "<Ann@a.org>" },
        { LIT("ann+shop+more"), LIT("a.org"), DIRECTORY_MAILBOX, "<Ann@a.org>" },
        { LIT("ann+"), LIT("a.org"), DIRECTORY_MAILBOX, "<Ann@a.org>" },
        { LIT("+ann"), LIT("a.org"), DIRECTORY_UNKNOWN, "" },
        { LIT("+"), LIT("a.org"), DIRECTORY_UNKNOWN, "" },
        { LIT("bob+kept"), LIT("a.org"), DIRECTORY_MAILBOX, "<bob+kept@a.org>" },
        { LIT("bob+kept+x"), LIT("a.org"), DIRECTORY_MAILBOX, "<bob+kept@a.org>" },
        { LIT("bob+other"), LIT("a.org"), DIRECTORY_MAILBOX, "<bob@a.org>" },
        { LIT("ann-shop"), LIT("a.org"), DIRECTORY_UNKNOWN, "" },
        { LIT("mary-ann-shop"), LIT("b.org"), DIRECTORY_MAILBOX, "<mary-ann@b.org>" },
        { LIT("mary"), LIT("b.org"), DIRECTORY_ALIAS, "<Ann@a.org>" },
        { LIT("nobody"), LIT("a.org"), DIRECTORY_UNKNOWN, "" },
        { LIT(""), LIT("a.org"), DIRECTORY_UNKNOWN, "" },
        { LIT("ann"), LIT("outside.net"), DIRECTORY_OUTSIDE, "" },
        { LIT("x"), LIT("not.hosted.org"), DIRECTORY_OUTSIDE, "" },
        { LIT("ann"), LIT("[127.0.0.1]"), DIRECTORY_OUTSIDE, "" },
        { LIT("info"), LIT("a.org"), DIRECTORY_ALIAS, "<Ann@a.org><bob@a.org>" },
        { LIT("INFO+x"), LIT("a.org"), DIRECTORY_ALIAS, "<Ann@a.org><bob@a.org>" },
        { LIT("all"), LIT("a.org"), DIRECTORY_ALIAS, "<Ann@a.org><bob@a.org><x@outside.net><X@outside.net>" },
        { LIT("copy"), LIT("a.org"), DIRECTORY_ALIAS, "<copy@a.org><Ann@a.org>" },
        { LIT("round1"), LIT("a.org"), DIRECTORY_LOOP, "" },
        { LIT("round2"), LIT("a.org"), DIRECTORY_LOOP, "" },
        { LIT("self"), LIT("a.org"), DIRECTORY_LOOP, "" },
        { LIT("gone"), LIT("a.org"), DIRECTORY_UNKNOWN, "" },
        { LIT("half"), LIT("a.org"), DIRECTORY_ALIAS, "<Ann@a.org>" },
        { LIT("diamond"), LIT("a.org"), DIRECTORY_ALIAS, "<Ann@a.org><bob@a.org>" },
        { LIT("ext"), LIT("a.org"), DIRECTORY_ALIAS, "<Ann@a.org>" },
        { LIT("Postmaster"), LIT("a.org"), DIRECTORY_ALIAS, "<early@A.org>" },
        { LIT("postmaster"), LIT("b.org"), DIRECTORY_ALIAS, "<mary-ann@b.org>" },
        { LIT("postmaster"), LIT(""), DIRECTORY_ALIAS, "<early@A.org>" },
        { LIT("\"Post\\master\""), LIT(""), DIRECTORY_ALIAS, "<early@A.org>" },
        { LIT("postmaster"), LIT("outside.net"), DIRECTORY_OUTSIDE, "" },
        { LIT("x"), LIT("c.org"), DIRECTORY_UNKNOWN, "" },
        { LIT("x"), LIT("d.org"), DIRECTORY_ALIAS, "<out@outside.net>" },
        { LIT("ann"), LIT(""), DIRECTORY_OUTSIDE, "" },
        { LIT("a\0nn"), LIT("a.org"), DIRECTORY_UNKNOWN, "" },
    };
    struct directory *d = example();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena memory = { 0 };
        struct text targets = { 0 };
        struct directory_result r = directory_find(d, (struct path){ cases[i].local, cases[i].domain }, &memory);
        for (size_t t = 0; t < r.target_count; t++)
            text_add_path(&targets, r.targets[t]);
        if (r.answer != cases[i].answer || !slice_eq(text_slice(&targets), slice_from_cstr(cases[i].targets)))
            fail_msg("row %zu, " SLICE_FMT "@" SLICE_FMT ": %d " SLICE_FMT, i, SLICE_ARG(cases[i].local),
                     SLICE_ARG(cases[i].domain), (int)r.answer, SLICE_ARG(text_slice(&targets)));
        text_free(&targets);
        arena_free(&memory);
    }
    directory_release(d);
}

static void test_has(void **state)
{
    (void)state;
    struct directory *d = example();
    assert_true(directory_has_domain(d, SLICE("A.ORG")));
    assert_false(directory_has_domain(d, SLICE("org")));
    assert_false(directory_has_domain(d, SLICE("")));
    assert_true(directory_has_mailbox(d, (struct path){ SLICE("ann+x"), SLICE("a.org") }));
    assert_true(directory_has_mailbox(d, (struct path){ SLICE("copy"), SLICE("a.org") }));
    assert_false(directory_has_mailbox(d, (struct path){ SLICE("info"), SLICE("a.org") }));
    assert_false(directory_has_mailbox(d, (struct path){ SLICE("x"), SLICE("not.hosted.org") }));
    assert_ptr_equal(directory_hold(d), d);
    directory_release(d);
    directory_release(d);
}

static void test_too_long(void **state)
{
    (void)state;
    char octets[1000];
    memset(octets, 'a', sizeof(octets));
    struct directory *d = example();
    struct arena memory = { 0 };
    struct path long_local = { slice_from(octets, sizeof(octets)), SLICE("a.org") };
    struct path long_domain = { SLICE("ann"), slice_from(octets, sizeof(octets)) };
    assert_int_equal(directory_find(d, long_local, &memory).answer, DIRECTORY_UNKNOWN);
    assert_int_equal(directory_find(d, long_domain, &memory).answer, DIRECTORY_OUTSIDE);
    arena_free(&memory);
    directory_release(d);
}

static void count_problem(void *context, slice alias, slice problem)
{
    (void)problem;
    struct text *seen = context;
    text_add(seen, alias);
    text_add_byte(seen, ' ');
}

static void test_problems(void **state)
{
    (void)state;
    static const slice expected[] = { LIT("round1@a.org "), LIT("round2@a.org "), LIT("self@a.org "),
                                      LIT("gone@a.org "), LIT("half@a.org ") };
    struct directory *d = example();
    struct text seen = { 0 };
    size_t octets = 0;
    directory_each_problem(d, count_problem, &seen);
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(slice_find(text_slice(&seen), expected[i]) != SLICE_NOT_FOUND);
        octets += expected[i].len;
    }
    assert_int_equal(seen.len, octets);
    text_free(&seen);
    directory_release(d);
}

/* An alias of `width` aliases of `width` outside addresses each. */
static enum directory_answer answer_of_width(size_t width)
{
    struct directory *d = directory_new();
    directory_add_domain(d, SLICE("a.org"), SLICE(""), SLICE(""));
    struct arena memory = { 0 };
    for (size_t i = 0; i < width; i++) {
        slice middle = arena_format(&memory, "m%zu@a.org", i);
        directory_add_alias(d, SLICE("top@a.org"), &middle, 1);
        for (size_t t = 0; t < width; t++) {
            slice target = arena_format(&memory, "t%zu-%zu@outside.net", i, t);
            directory_add_alias(d, middle, &target, 1);
        }
    }
    directory_finish(d);
    struct directory_result r = directory_find(d, (struct path){ SLICE("top"), SLICE("a.org") }, &memory);
    if (r.answer == DIRECTORY_ALIAS)
        assert_int_equal(r.target_count, width * width);
    arena_free(&memory);
    directory_release(d);
    return r.answer;
}

static enum directory_answer answer_of_depth(size_t depth)
{
    struct directory *d = directory_new();
    directory_add_domain(d, SLICE("a.org"), SLICE(""), SLICE(""));
    struct arena memory = { 0 };
    for (size_t i = 0; i < depth; i++) {
        slice target = i + 1 < depth ? arena_format(&memory, "a%zu@a.org", i + 1) : SLICE("x@outside.net");
        directory_add_alias(d, arena_format(&memory, "a%zu@a.org", i), &target, 1);
    }
    directory_finish(d);
    enum directory_answer answer = directory_find(d, (struct path){ SLICE("a0"), SLICE("a.org") }, &memory).answer;
    arena_free(&memory);
    directory_release(d);
    return answer;
}

static void test_bounds(void **state)
{
    (void)state;
    assert_int_equal(answer_of_width(31), DIRECTORY_ALIAS);
    assert_int_equal(answer_of_width(32), DIRECTORY_LOOP); /* 1024 targets */
    assert_int_equal(answer_of_width(150), DIRECTORY_LOOP);
    assert_int_equal(answer_of_depth(40), DIRECTORY_ALIAS);
    assert_int_equal(answer_of_depth(60), DIRECTORY_LOOP);
    assert_int_equal(answer_of_depth(100000), DIRECTORY_LOOP);
}

static void test_alias_text(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        slice text;
        const char *error;   /* NULL: fine */
        const char *targets; /* of info@a.org */
    } cases[] = {
        { "plain", LIT("info: ann\n"), NULL, "<ann@a.org>" },
        { "without end of line", LIT("info:ann"), NULL, "<ann@a.org>" },
        { "CRLF", LIT("# x\r\n\r\ninfo: ann, x@b.net\r\n"), NULL, "<ann@a.org><x@b.net>" },
        { "continued", LIT("info: ann,\n# between\n\tx@b.net\n\n  y@b.net\n"),
          "line 1: \"x@b.net y@b.net\" is not an address", "" },
        { "continued after commas", LIT("info: ann,\n# between\n\tx@b.net,\n\n  y@b.net\n"), NULL,
          "<ann@a.org><x@b.net><y@b.net>" },
        { "whole name", LIT("info@A.org: ann"), NULL, "<ann@a.org>" },
        { "quoted", LIT("\"info\": \"o, dd\"@b.net"), NULL, "<\"o, dd\"@b.net>" },
        { "no expansion", LIT("info: \\ann"), NULL, "<ann@a.org>" },
        { "empty file", LIT(""), NULL, "" },
        { "other domain", LIT("x: ann\ninfo@b.org: ann"), "line 2: \"info@b.org\" is a name of another domain", "" },
        { "program", LIT("info: |/bin/cat"), "line 1: \"|/bin/cat\" would run a program", "" },
        { "quoted program", LIT("info: \"|cat x\""), "line 1: \"\"|cat x\"\" would run a program", "" },
        { "file", LIT("info: /var/x"), "line 1: \"/var/x\" would write to a file", "" },
        { "include", LIT("info: :include:/x"), "line 1: \":include:/x\" would read another file", "" },
        { "no colon", LIT("\n\ninfo ann"), "line 3: \"info ann\" is not `name: target, target`", "" },
        { "no target", LIT("info: , ,"), "line 1: \"info\" has no target", "" },
        { "twice", LIT("info: ann\nINFO: bob"), "line 2: \"INFO\" is an alias already", "<ann@a.org>" },
        { "bad target", LIT("info: a b@c.net"), "line 1: \"a b@c.net\" is not an address", "" },
        { "NUL", LIT("info: a\0b@c.net"), "line 1: ", "" },
        { "not UTF-8", LIT("info: a\xff\xff\xff@c.net"), "line 1: ", "" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct directory *d = directory_new();
        struct text error = { 0 }, targets = { 0 };
        struct arena memory = { 0 };
        directory_add_domain(d, SLICE("a.org"), SLICE(""), SLICE("+"));
        bool ok = directory_add_alias_text(d, SLICE("a.org"), cases[i].text, &error);
        directory_add_mailbox(d, SLICE("ann@a.org"));
        directory_finish(d);
        struct directory_result r = directory_find(d, (struct path){ SLICE("info"), SLICE("a.org") }, &memory);
        for (size_t t = 0; t < r.target_count; t++)
            text_add_path(&targets, r.targets[t]);
        bool is_expected = ok == !cases[i].error &&
                           (ok || slice_starts_with(text_slice(&error), slice_from_cstr(cases[i].error))) &&
                           slice_eq(text_slice(&targets), slice_from_cstr(cases[i].targets));
        if (!is_expected)
            fail_msg("%s: " SLICE_FMT " / " SLICE_FMT, cases[i].name, SLICE_ARG(text_slice(&error)),
                     SLICE_ARG(text_slice(&targets)));
        arena_free(&memory);
        text_free(&error);
        text_free(&targets);
        directory_release(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),     cmocka_unit_test(test_has),    cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_problems), cmocka_unit_test(test_bounds), cmocka_unit_test(test_alias_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
