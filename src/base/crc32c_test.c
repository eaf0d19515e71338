#include "base/crc32c.h"
#include "base/random.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* RFC 3720 §B.4 */
static void known_values(void **state)
{
    (void)state;
    char octets[32];
    assert_int_equal(crc32c(0, SLICE("")), 0);
    assert_int_equal(crc32c(0, SLICE("123456789")), 0xE3069283);
    memset(octets, 0, sizeof(octets));
    assert_int_equal(crc32c(0, slice_from(octets, 32)), 0x8A9136AA);
    memset(octets, 0xff, sizeof(octets));
    assert_int_equal(crc32c(0, slice_from(octets, 32)), 0x62A8AB43);
    for (size_t i = 0; i < 32; i++)
        octets[i] = (char)i;
    assert_int_equal(crc32c(0, slice_from(octets, 32)), 0x46DD794E);
}

static void pieces_and_both_ways_agree(void **state)
{
    (void)state;
    char octets[1000];
    random_octets(octets, sizeof(octets));
    uint32_t whole = crc32c(0, slice_from(octets, sizeof(octets)));
    for (size_t cut = 0; cut <= sizeof(octets); cut++) {
        uint32_t first = crc32c(0, slice_from(octets, cut));
        assert_int_equal(first, crc32c_portable(0, slice_from(octets, cut)));
        assert_int_equal(crc32c(first, slice_from(octets + cut, sizeof(octets) - cut)), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(known_values), cmocka_unit_test(pieces_and_both_ways_agree) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
