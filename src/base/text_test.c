#include "base/text.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(struct text *t, const char *wanted)
{
    assert_string_equal(text_cstr(t), wanted);
    text_clear(t);
}

static void writes(void **state)
{
    (void)state;
    struct text t = { 0 };
    check(&t, "");
    text_add_u64(&t, 0);
    text_add_byte(&t, ' ');
    text_add_u64(&t, UINT64_MAX);
    check(&t, "0 18446744073709551615");
    text_add_i64(&t, INT64_MIN);
    check(&t, "-9223372036854775808");
    text_add_hex(&t, 0xBEEF, 8);
    text_add_hex(&t, 0x12345, 2);
    check(&t, "0000beef45");
    text_add_format(&t, "%s-%d", "x", 7);
    check(&t, "x-7");
    text_add_format(&t, "%300d", 1); /* longer than the first guess */
    assert_int_equal(t.len, 300);
    text_clear(&t);
    text_add(&t, SLICE("a\0b"));
    text_remove_head(&t, 1);
    assert_true(slice_eq(text_slice(&t), SLICE("\0b")));
    text_remove_head(&t, 9);
    assert_int_equal(t.len, 0);
    text_free(&t);
    assert_null(t.ptr);
}

static void grows(void **state)
{
    (void)state;
    struct text t = { 0 };
    for (unsigned i = 0; i < 100000; i++)
        text_add_byte(&t, (char)i);
    assert_int_equal(t.len, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(t.ptr[i], (char)i);
    text_free(&t);
}

struct number_case {
    slice s;
    bool good;
    uint64_t value;
};

static void check_numbers(const struct number_case *cases, size_t count, bool (*parse)(slice, uint64_t *))
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 4242;
        bool good = parse(cases[i].s, &value);
        if (good != cases[i].good || value != (good ? cases[i].value : 4242))
            fail_msg("\"" SLICE_FMT "\" gave %d %llu", SLICE_ARG(cases[i].s), good, (unsigned long long)value);
    }
}

static void parses_numbers(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        { LIT("0"), true, 0 },    { LIT("007"), true, 7 },
        { LIT(""), false, 0 },    { LIT("18446744073709551615"), true, UINT64_MAX },
        { LIT("+1"), false, 0 },  { LIT("18446744073709551616"), false, 0 },
        { LIT("-1"), false, 0 },  { LIT("99999999999999999999999"), false, 0 },
        { LIT(" 1"), false, 0 },  { LIT("1 "), false, 0 },
        { LIT("1\0"), false, 0 }, { LIT("0x1"), false, 0 },
    };
    check_numbers(cases, COUNT(cases), parse_u64);
}

static void parses_sizes(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        { LIT("512"), true, 512 },      { LIT("25M"), true, 26214400 }, { LIT("25m"), true, 26214400 },
        { LIT("64K"), true, 65536 },    { LIT("64KB"), true, 65536 },   { LIT("64KiB"), true, 65536 },
        { LIT("1G"), true, 1 << 30 },   { LIT("512B"), true, 512 },     { LIT("1T"), true, UINT64_C(1) << 40 },
        { LIT("25"), true, 25 },        { LIT("K"), false, 0 },         { LIT("25X"), false, 0 },
        { LIT("25 M"), false, 0 },      { LIT("25MM"), false, 0 },      { LIT("25iB"), false, 0 },
        { LIT("16777216T"), false, 0 }, { LIT(""), false, 0 },          { LIT("-1K"), false, 0 },
        { LIT("1.5M"), false, 0 },      { LIT("25MBB"), false, 0 },
    };
    check_numbers(cases, COUNT(cases), parse_size);
}

static void parses_durations(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        { LIT("5d"), true, 432000000 },
        { LIT("1h30m"), true, 5400000 },
        { LIT("90s"), true, 90000 },
        { LIT("250ms"), true, 250 },
        { LIT("2w"), true, 1209600000 },
        { LIT("0"), true, 0 },
        { LIT("1m5ms"), true, 60005 },
        { LIT("0s"), true, 0 },
        { LIT("5"), false, 0 },
        { LIT("30m1h"), false, 0 },
        { LIT("1h1h"), false, 0 },
        { LIT("1h30"), false, 0 },
        { LIT("h"), false, 0 },
        { LIT(""), false, 0 },
        { LIT("1y"), false, 0 },
        { LIT("1 h"), false, 0 },
        { LIT("99999999999999999w"), false, 0 },
    };
    check_numbers(cases, COUNT(cases), parse_duration);
}

static void writes_units(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *exact, *words;
    } durations[] = {
        { 0, "0s", "0 milliseconds" },
        { 1, "1ms", "1 millisecond" },
        { 5400000, "1h30m", "1 hour 30 minutes" },
        { 432000000, "5d", "5 days" },
        { 1209600000, "2w", "14 days" },
        { 90061001, "1d1h1m1s1ms", "1 day 1 hour" },
        { 86405000, "1d5s", "1 day" },
        { 61000, "1m1s", "1 minute 1 second" },
        { 1500, "1s500ms", "1 second" },
    };
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(durations); i++) {
        uint64_t back = 1;
        text_add_duration(&t, durations[i].ms);
        assert_true(parse_duration(text_slice(&t), &back));
        assert_int_equal(back, durations[i].ms);
        check(&t, durations[i].exact);
        text_add_duration_words(&t, durations[i].ms);
        check(&t, durations[i].words);
    }
    static const struct {
        uint64_t octets;
        const char *text;
    } sizes[] = { { 26214400, "25M" }, { 0, "0" },       { 1023, "1023" },
                  { 1536, "1536" },    { 65536, "64K" }, { UINT64_C(1) << 40, "1T" } };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        text_add_size(&t, sizes[i].octets);
        check(&t, sizes[i].text);
    }
    text_free(&t);
}

static void measures_distance(void **state)
{
    (void)state;
    static const struct {
        slice a, b;
        size_t distance;
    } cases[] = {
        { LIT(""), LIT(""), 0 },           { LIT("abc"), LIT(""), 3 },          { LIT("hostname"), LIT("hostnmae"), 1 },
        { LIT("Queue"), LIT("queue"), 0 }, { LIT("retry"), LIT("retries"), 3 }, { LIT("kitten"), LIT("sitting"), 3 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(text_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(text_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
    static char longest[1000]; /* cut, not walked past the table */
    assert_int_equal(text_distance(slice_from(longest, sizeof(longest)), SLICE("")), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes),
        cmocka_unit_test(grows),
        cmocka_unit_test(parses_numbers),
        cmocka_unit_test(parses_sizes),
        cmocka_unit_test(parses_durations),
        cmocka_unit_test(writes_units),
        cmocka_unit_test(measures_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
