#include "programs/ctl/arguments.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct values {
    bool flag;
    const char *text;
    struct argument_list list, alone;
    uint64_t number, duration;
};

/* Words separated by spaces. */
static bool read_words(const char *line, struct values *v, bool words_allowed, int *exit_code)
{
    static char copy[200];
    char *argv[20] = { "command" };
    int argc = 1;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *rest = copy, *word; (word = strsep(&rest, " "));)
        if (*word)
            argv[argc++] = word;
    const struct argument rows[] = {
        { "flag", 'f', ARGUMENT_FLAG, &v->flag, NULL, "" },       { "text", 't', ARGUMENT_TEXT, &v->text, "TEXT", "" },
        { "list", 'l', ARGUMENT_LIST, &v->list, "ITEM", "" },     { "number", 0, ARGUMENT_NUMBER, &v->number, "N", "" },
        { "older", 0, ARGUMENT_DURATION, &v->duration, "D", "" },
    };
    const struct arguments arguments = { "test [X]", "about", rows, COUNT(rows), "", words_allowed ? &v->alone : NULL };
    *exit_code = -1;
    return arguments_read(&arguments, argc, argv, exit_code);
}

static void reads_all_forms(void **state)
{
    (void)state;
    struct values v = { 0 };
    int exit_code;
    assert_true(
        read_words("-f --text one --list a -lb -l c --number=7 one --older 1h30m - two -- -x", &v, true, &exit_code));
    assert_true(v.flag);
    assert_string_equal(v.text, "one");
    assert_int_equal(v.list.count, 3);
    assert_string_equal(v.list.items[1], "b");
    assert_int_equal(v.number, 7);
    assert_int_equal(v.duration, 5400000);
    assert_int_equal(v.alone.count, 4);
    assert_string_equal(v.alone.items[1], "-");
    assert_string_equal(v.alone.items[3], "-x");
    arguments_list_free(&v.list);
    arguments_list_free(&v.alone);
}

static void explains_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int exit_code;
    } cases[] = {
        { "--flga", 64 }, { "--flag=yes", 64 },  { "--text", 64 },    { "-t", 64 },
        { "-x", 64 },     { "--number -1", 64 }, { "--older 5", 64 }, { "word", 64 },
        { "--help", 0 },  { "-h", 0 },           { "-f --help", 0 },  { "--=", 64 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct values v = { 0 };
        int exit_code;
        if (read_words(cases[i].line, &v, false, &exit_code) || exit_code != cases[i].exit_code)
            fail_msg("%s: %d", cases[i].line, exit_code);
    }
}

static void lists_grow(void **state)
{
    (void)state;
    struct argument_list list = { 0 };
    for (size_t i = 0; i < 1000; i++)
        arguments_list_add(&list, i % 2 ? "odd" : "even");
    assert_int_equal(list.count, 1000);
    assert_string_equal(list.items[0], "even");
    assert_string_equal(list.items[999], "odd");
    arguments_list_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_forms),
        cmocka_unit_test(explains_mistakes),
        cmocka_unit_test(lists_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
