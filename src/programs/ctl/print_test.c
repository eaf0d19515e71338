#include "programs/ctl/print.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void strangers_cannot_drive_the_terminal(void **state)
{
    (void)state;
    static const struct {
        slice from;
        const char *shown;
    } cases[] = {
        { LIT("plain"), "plain" },
        { LIT("\x1b]0;title\x07"), "?]0;title?" },
        { LIT("\x1b[31mred\r\n"), "?[31mred??" },
        { LIT("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F" },
        { LIT("\xC2\x9B"
              "31m"),
          "?31m" }, /* CSI as a C1 control */
        { LIT("\x9b"
              "31m"),
          "?31m" },
        { LIT("a\0b\x7f"), "a?b?" },
        { LIT("a\tb"), "a b" },
        { LIT("\xE2\x82"), "??" },
    };
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        text_clear(&t);
        text_add_harmless(&t, cases[i].from);
        assert_string_equal(text_cstr(&t), cases[i].shown);
    }
    text_free(&t);
}

static void times_and_sizes_in_words(void **state)
{
    (void)state;
    static const struct {
        uint64_t wall_ms;
        const char *words;
    } times[] = { { 1000000, "now" }, { 1000999, "now" }, { 1060000, "in 1 minute" }, { 400000, "10 minutes ago" } };
    static const struct {
        uint64_t octets;
        const char *words;
    } sizes[] = { { 0, "0B" },      { 1023, "1023B" },   { 1024, "1.0K" },
                  { 4300, "4.2K" }, { 26214400, "25M" }, { UINT64_MAX, "16384P" } };
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(times); i++) {
        text_clear(&t);
        text_add_when(&t, times[i].wall_ms, 1000000);
        assert_string_equal(text_cstr(&t), times[i].words);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        text_clear(&t);
        text_add_size_short(&t, sizes[i].octets);
        assert_string_equal(text_cstr(&t), sizes[i].words);
    }
    text_free(&t);
}

static void fields_of_another_type_are_empty(void **state)
{
    (void)state;
    json_t *object = json_loads("{\"a\":\"x\",\"n\":5,\"minus\":-5,\"t\":true,\"null\":null}", 0, NULL);
    assert_true(slice_eq(json_text(object, "a"), SLICE("x")));
    assert_int_equal(json_text(object, "n").len, 0);
    assert_int_equal(json_number(object, "n"), 5);
    assert_int_equal(json_number(object, "minus"), 0);
    assert_int_equal(json_number(object, "a"), 0);
    assert_true(json_is_set(object, "t"));
    assert_false(json_is_set(object, "n"));
    assert_int_equal(json_text(object, "missing").len, 0);
    assert_int_equal(json_text(NULL, "missing").len, 0);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_cannot_drive_the_terminal),
        cmocka_unit_test(times_and_sizes_in_words),
        cmocka_unit_test(fields_of_another_type_are_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
