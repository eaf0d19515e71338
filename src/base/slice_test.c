#include "base/slice.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define assert_slice(have, want) assert_true(slice_eq((have), SLICE(want)))

static void compares(void **state)
{
    (void)state;
    static const struct {
        slice a, b;
        int order;
        bool same_nocase;
    } cases[] = {
        { LIT(""), LIT(""), 0, true },       { { NULL, 0 }, LIT(""), 0, true },
        { LIT("a"), LIT("b"), -1, false },   { LIT("ab"), LIT("a"), 1, false },
        { LIT("abc"), LIT("ABC"), 1, true }, { LIT("a\0b"), LIT("a\0c"), -1, false },
        { LIT("\xff"), LIT("a"), 1, false }, { LIT("\xC4"), LIT("\xE4"), -1, false }, /* ASCII letters only */
        { LIT("["), LIT("{"), -1, false },   { LIT("@"), LIT("`"), -1, false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int order = slice_compare(cases[i].a, cases[i].b);
        assert_int_equal((order > 0) - (order < 0), cases[i].order);
        assert_int_equal(slice_eq(cases[i].a, cases[i].b), cases[i].order == 0);
        assert_int_equal(slice_eq_nocase(cases[i].a, cases[i].b), cases[i].same_nocase);
    }
}

static void starts_and_ends(void **state)
{
    (void)state;
    static const struct {
        slice s, part;
        bool starts, starts_nocase, ends, ends_nocase;
    } cases[] = {
        { LIT("example.org"), LIT("example"), true, true, false, false },
        { LIT("example.org"), LIT("EXAMPLE"), false, true, false, false },
        { LIT("example.org"), LIT(".org"), false, false, true, true },
        { LIT("example.org"), LIT(".ORG"), false, false, false, true },
        { LIT("org"), LIT(".org"), false, false, false, false },
        { LIT("org"), LIT(""), true, true, true, true },
        { { NULL, 0 }, { NULL, 0 }, true, true, true, true },
        { { NULL, 0 }, LIT("x"), false, false, false, false },
        { LIT("a\0b"), LIT("a\0"), true, true, false, false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(slice_starts_with(cases[i].s, cases[i].part), cases[i].starts);
        assert_int_equal(slice_starts_with_nocase(cases[i].s, cases[i].part), cases[i].starts_nocase);
        assert_int_equal(slice_ends_with(cases[i].s, cases[i].part), cases[i].ends);
        assert_int_equal(slice_ends_with_nocase(cases[i].s, cases[i].part), cases[i].ends_nocase);
    }
}

static void finds(void **state)
{
    (void)state;
    slice s = SLICE("a.b.c\0d");
    assert_int_equal(slice_find_byte(s, '.'), 1);
    assert_int_equal(slice_find_byte_last(s, '.'), 3);
    assert_int_equal(slice_find_byte(s, '\0'), 5);
    assert_int_equal(slice_find_byte(s, 'x'), SLICE_NOT_FOUND);
    assert_int_equal(slice_find_byte((slice){ 0 }, 'x'), SLICE_NOT_FOUND);
    assert_int_equal(slice_find_byte_last((slice){ 0 }, 'x'), SLICE_NOT_FOUND);
    assert_int_equal(slice_find(s, SLICE("\0d")), 5);
    assert_int_equal(slice_find(s, SLICE("")), 0);
    assert_int_equal(slice_find(s, SLICE("c.d")), SLICE_NOT_FOUND);
    assert_int_equal(slice_find((slice){ 0 }, SLICE("x")), SLICE_NOT_FOUND);
}

static void heads_and_tails(void **state)
{
    (void)state;
    slice s = SLICE("abc");
    assert_slice(slice_head(s, 2), "ab");
    assert_slice(slice_head(s, 99), "abc");
    assert_slice(slice_tail(s, 2), "c");
    assert_slice(slice_tail(s, 99), "");
    assert_slice(slice_tail((slice){ 0 }, 1), "");
    assert_slice(slice_trim(SLICE(" \t a b\t ")), "a b");
    assert_slice(slice_trim(SLICE(" \t ")), "");
    assert_slice(slice_trim(SLICE("a\r\n")), "a\r\n");
    assert_slice(slice_trim_lines(SLICE("\n a\r\n")), "a");
    assert_slice(slice_trim((slice){ 0 }), "");
}

static void cuts(void **state)
{
    (void)state;
    static const struct {
        slice s, before, after;
        bool found;
    } cases[] = {
        { LIT("a=b"), LIT("a"), LIT("b"), true }, { LIT("a=b=c"), LIT("a"), LIT("b=c"), true },
        { LIT("a"), LIT("a"), LIT(""), false },   { LIT("a="), LIT("a"), LIT(""), true },
        { LIT("=a"), LIT(""), LIT("a"), true },   { { NULL, 0 }, LIT(""), LIT(""), false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        slice before;
        bool found;
        assert_true(slice_eq(slice_cut(cases[i].s, '=', &before, &found), cases[i].after));
        assert_true(slice_eq(before, cases[i].before));
        assert_int_equal(found, cases[i].found);
    }
}

static void gives_lines(void **state)
{
    (void)state;
    slice rest = SLICE("one\r\ntwo\n\r\nbare\rcr\r\nlast"), line;
    static const slice wanted[] = { LIT("one"), LIT("two"), LIT(""), LIT("bare\rcr"), LIT("last") };
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_true(slice_next_line(&rest, &line));
        assert_true(slice_eq(line, wanted[i]));
    }
    assert_false(slice_next_line(&rest, &line));
}

static void knows_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        slice s;
        bool ascii, utf8;
    } cases[] = {
        { "empty", LIT(""), true, true },
        { "ascii", LIT("plain enough for two words"), true, true },
        { "NUL", LIT("a\0b"), true, true },
        { "two octets", LIT("gr\xC3\xBC\xC3\x9F"), false, true },
        { "three octets", LIT("\xE2\x82\xAC"), false, true },
        { "four octets", LIT("\xF0\x9F\x93\xAC"), false, true },
        { "highest", LIT("\xF4\x8F\xBF\xBF"), false, true },
        { "past the highest", LIT("\xF4\x90\x80\x80"), false, false },
        { "overlong slash", LIT("\xC0\xAF"), false, false },
        { "overlong of three", LIT("\xE0\x80\xAF"), false, false },
        { "overlong of four", LIT("\xF0\x80\x80\xAF"), false, false },
        { "surrogate", LIT("\xED\xA0\x80"), false, false },
        { "before the surrogates", LIT("\xED\x9F\xBF"), false, true },
        { "lone tail", LIT("\x80"), false, false },
        { "cut short", LIT("abcdefgh\xE2\x82"), false, false },
        { "latin1", LIT("gr\xFC\xDF"), false, false },
        { "ninth octet high", LIT("12345678\xff"), false, false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (slice_is_ascii(cases[i].s) != cases[i].ascii || slice_is_utf8(cases[i].s) != cases[i].utf8)
            fail_msg("%s", cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),   cmocka_unit_test(starts_and_ends),
        cmocka_unit_test(finds),      cmocka_unit_test(heads_and_tails),
        cmocka_unit_test(cuts),       cmocka_unit_test(gives_lines),
        cmocka_unit_test(knows_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
