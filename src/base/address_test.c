#include "base/address.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void parses(void **state)
{
    (void)state;
    static const struct {
        slice s;
        const char *plain, *literal; /* NULL: refused */
    } cases[] = {
        { LIT("192.0.2.1"), "192.0.2.1", "[192.0.2.1]" },
        { LIT("2001:DB8::1"), "2001:db8::1", "[IPv6:2001:db8::1]" },
        { LIT("::"), "::", "[IPv6:::]" },
        { LIT("::ffff:192.0.2.1"), "192.0.2.1", "[192.0.2.1]" },
        { LIT("192.0.2"), NULL, NULL },
        { LIT("192.0.2.256"), NULL, NULL },
        { LIT("192.0.2.1\0"), NULL, NULL },
        { LIT("[::1]"), NULL, NULL },
        { LIT("fe80::1%lo"), NULL, NULL },
        { LIT(""), NULL, NULL },
        { LIT(" 192.0.2.1"), NULL, NULL },
        { LIT("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"), NULL, NULL },
        { LIT("example.org"), NULL, NULL },
    };
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address a;
        assert_int_equal(address_parse(cases[i].s, &a), cases[i].plain != NULL);
        if (!cases[i].plain)
            continue;
        text_clear(&t);
        text_add_address(&t, &a);
        assert_string_equal(text_cstr(&t), cases[i].plain);
        text_clear(&t);
        text_add_address_literal(&t, &a);
        assert_string_equal(text_cstr(&t), cases[i].literal);
    }
    text_free(&t);
}

static void parses_ports(void **state)
{
    (void)state;
    static const struct {
        slice s;
        const char *text; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        { LIT("192.0.2.1:25"), "192.0.2.1:25", 25 },
        { LIT("[2001:db8::1]:65535"), "[2001:db8::1]:65535", 65535 },
        { LIT("[::ffff:127.0.0.1]:0"), "127.0.0.1:0", 0 },
        { LIT("2001:db8::1:25"), NULL, 0 },
        { LIT("[192.0.2.1]:25"), NULL, 0 },
        { LIT("192.0.2.1:65536"), NULL, 0 },
        { LIT("192.0.2.1:"), NULL, 0 },
        { LIT("192.0.2.1"), NULL, 0 },
        { LIT("[::1]"), NULL, 0 },
        { LIT("[::1:25"), NULL, 0 },
        { LIT(":25"), NULL, 0 },
        { LIT("]:25"), NULL, 0 },
        { LIT("[:25"), NULL, 0 },
        { LIT("192.0.2.1:-1"), NULL, 0 },
    };
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address a;
        assert_int_equal(address_parse_with_port(cases[i].s, &a), cases[i].text != NULL);
        if (!cases[i].text)
            continue;
        assert_int_equal(address_port(&a), cases[i].port);
        text_clear(&t);
        text_add_address_with_port(&t, &a);
        assert_string_equal(text_cstr(&t), cases[i].text);
    }
    text_free(&t);
}

static void knows_networks(void **state)
{
    (void)state;
    static const struct {
        slice network, inside, outside; /* outside empty: the network is refused */
    } cases[] = {
        { LIT("192.0.2.0/24"), LIT("192.0.2.255"), LIT("192.0.3.0") },
        { LIT("192.0.2.128/25"), LIT("192.0.2.200"), LIT("192.0.2.127") },
        { LIT("192.0.2.1"), LIT("192.0.2.1"), LIT("192.0.2.2") },
        { LIT("192.0.2.1"), LIT("::ffff:192.0.2.1"), LIT("::1") },
        { LIT("::ffff:192.0.2.0/120"), LIT("192.0.2.7"), LIT("192.0.3.7") },
        { LIT("0.0.0.0/0"), LIT("255.255.255.255"), LIT("::1") },
        { LIT("::/0"), LIT("::1"), LIT("127.0.0.1") },
        { LIT("2001:db8::/33"), LIT("2001:db8:7fff::1"), LIT("2001:db8:8000::1") },
        { LIT("192.0.2.1/24"), { 0 }, { 0 } },
        { LIT("192.0.2.0/33"), { 0 }, { 0 } },
        { LIT("192.0.2.0/"), { 0 }, { 0 } },
        { LIT("192.0.2.0/0024"), { 0 }, { 0 } },
        { LIT("/8"), { 0 }, { 0 } },
        { LIT("::ffff:192.0.2.0/24"), { 0 }, { 0 } },
        { LIT("2001:db8::/129"), { 0 }, { 0 } },
        { LIT("10.0.0.0/-8"), { 0 }, { 0 } },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct network network;
        struct address a;
        bool good = network_parse(cases[i].network, &network);
        if (good != (cases[i].outside.len > 0))
            fail_msg(SLICE_FMT, SLICE_ARG(cases[i].network));
        if (!good)
            continue;
        assert_true(address_parse(cases[i].inside, &a));
        assert_true(network_has(&network, &a));
        assert_true(address_parse(cases[i].outside, &a));
        assert_false(network_has(&network, &a));
    }
}

static void compares(void **state)
{
    (void)state;
    struct address a, b;
    assert_true(address_parse_with_port(SLICE("127.0.0.1:25"), &a));
    assert_true(address_parse_with_port(SLICE("127.0.0.1:26"), &b));
    assert_true(address_eq(&a, &b));
    assert_true(address_is_loopback(&a));
    address_set_port(&b, 25);
    assert_int_equal(address_port(&b), 25);
    assert_true(address_parse(SLICE("::1"), &b));
    assert_true(address_is_loopback(&b));
    assert_false(address_eq(&a, &b));
    assert_true(address_parse(SLICE("128.0.0.1"), &b));
    assert_false(address_is_loopback(&b));
    struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(25) };
    mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
    mapped.sin6_addr.s6_addr[12] = 127;
    mapped.sin6_addr.s6_addr[15] = 1;
    address_from_sockaddr(&b, (const struct sockaddr *)&mapped);
    assert_true(address_eq(&a, &b));
    assert_int_equal(address_port(&b), 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(parses_ports),
        cmocka_unit_test(knows_networks),
        cmocka_unit_test(compares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
