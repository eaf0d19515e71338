#include "base/clock.h"
#include "schedule/retry.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_waits(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint64_t first, longest;
        unsigned failures;
        uint64_t least, most;
    } cases[] = {
        { "first", MINUTES(5), HOURS(4), 1, MINUTES(4), MINUTES(6) },
        { "half as long again", MINUTES(5), HOURS(4), 2, MINUTES(6), MINUTES(9) + 2 },
        { "and again", MINUTES(5), HOURS(4), 3, MINUTES(9), MINUTES(13) + SECONDS(31) },
        { "at the limit", MINUTES(5), HOURS(4), 50, HOURS(4) * 8 / 10, HOURS(4) },
        { "never past it", MINUTES(5), HOURS(4), UINT32_MAX, HOURS(4) * 8 / 10, HOURS(4) },
        { "first is longest", HOURS(1), HOURS(1), 1, MINUTES(48), HOURS(1) },
        { "first past longest", HOURS(2), HOURS(1), 1, MINUTES(48), HOURS(1) },
        { "a millisecond", 1, HOURS(1), 1, 1, 1 },
        { "grows from a millisecond", 1, HOURS(1), 30, SECONDS(60), HOURS(1) },
        { "zero is not a wait", 0, 0, 1, 1, 1 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t least = UINT64_MAX, most = 0;
        for (int turn = 0; turn < 1000; turn++) {
            uint64_t wait = retry_wait_ms(cases[i].first, cases[i].longest, cases[i].failures);
            least = wait < least ? wait : least;
            most = wait > most ? wait : most;
        }
        if (least < cases[i].least || most > cases[i].most)
            fail_msg("%s: %lu to %lu", cases[i].name, (unsigned long)least, (unsigned long)most);
        if (cases[i].least >= MINUTES(1) && most - least < cases[i].least / 10)
            fail_msg("%s: no jitter, %lu to %lu", cases[i].name, (unsigned long)least, (unsigned long)most);
    }
}

static void test_time_left(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint64_t next, now, left;
    } cases[] = {
        { "to come", 1000300, 1000000, 300 },
        { "now", 1000000, 1000000, 0 },
        { "past", 1000000, 2000000, 0 },
        { "the clock was set back a year", DAYS(20000), DAYS(19635), HOURS(4) },
        { "the clock stands at the beginning", DAYS(20000), 0, HOURS(4) },
        { "no time at all", UINT64_MAX, 0, HOURS(4) },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (retry_left_ms(cases[i].next, cases[i].now, HOURS(4)) != cases[i].left)
            fail_msg("%s", cases[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_waits), cmocka_unit_test(test_time_left) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
