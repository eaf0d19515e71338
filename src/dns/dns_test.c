#include "base/clock.h"
#include "base/memory.h"
#include "dns/inside.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * A name server of our own, in a thread: answers from the lines below, well-formed or not.
 *
 *     NAME TYPE VALUE     a record          NAME ! RCODE    an error
 *     NAME ~              no answer at all  NAME ? OCTETS   these octets in place of the answer section
 */
static const char *const zone[] = {
    "plain.test MX 20 mx3.plain.test",
    "plain.test MX 10 MX1.Plain.Test",
    "plain.test MX 10 mx2.plain.test",
    "mx1.plain.test A 192.0.2.1",
    "mx1.plain.test A 192.0.2.2",
    "mx1.plain.test A 192.0.2.3",
    "mx1.plain.test AAAA 2001:db8::1",
    "v4.test A 192.0.2.4",
    "v6.test AAAA 2001:db8::6",
    "alias.test CNAME plain.test",
    "loop1.test CNAME loop2.test",
    "loop2.test CNAME loop1.test",
    "null.test MX 0 .",
    "nullish.test MX 0 .",
    "nullish.test MX 10 mx.nullish.test",
    "text.test TXT nothing to see",
    "refused.test ! 5",
    "servfail.test ! 2",
    "silent.test ~",
    "half.test A 192.0.2.9", /* AAAA: error, see below */
    "evil.test MX 10 evil\nname.test",
    "evil.test MX 10 evil name.test",
    "evil.test MX 20 good.test",
    "evilonly.test MX 10 evil\x01.test",
    "garbage.test ? \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "loopname.test ? \xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\4\0\x0a\xc0\x2c",
    "1.0.0.10.in-addr.arpa PTR liar.test",
    "1.0.0.10.in-addr.arpa PTR honest.test",
    "honest.test A 10.0.0.1",
    "liar.test A 10.0.0.2",
    "2.0.0.10.in-addr.arpa PTR liar2.test",
    "liar2.test A 10.0.0.3",
    "1.0.0.127.in-addr.arpa PTR localhost",
    "localhost A 127.0.0.1",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mx1.plain.test",
    "host.onion A 192.0.2.80",
    "printer.home.arpa A 192.0.2.81",
    "x.invalid A 192.0.2.82",
    "example.org A 192.0.2.83",
};
enum { MANY_MX = 70, MANY_A = 40 }; /* of many.test, made in the loop below */

static int server_fd;
static struct address server_address;
static pthread_t server_thread;
static char server_name[32];

struct packet {
    char octets[8192];
    size_t len;
    unsigned answers;
};

static void put(struct packet *p, const void *octets, size_t len)
{
    if (p->len + len <= sizeof p->octets) {
        memcpy(p->octets + p->len, octets, len);
        p->len += len;
    }
}

static void put_u16(struct packet *p, unsigned value)
{
    const unsigned char octets[] = { (unsigned char)(value >> 8), (unsigned char)value };
    put(p, octets, 2);
}

static void put_name(struct packet *p, slice name)
{
    slice label;
    while (name.len && !slice_eq(name, SLICE("."))) {
        name = slice_cut(name, '.', &label, NULL);
        unsigned char length = (unsigned char)label.len;
        put(p, &length, 1);
        put(p, label.ptr, label.len);
    }
    put(p, "", 1);
}

static const struct {
    slice name;
    int type;
} types[] = { { LIT("A"), TYPE_A },     { LIT("AAAA"), TYPE_AAAA }, { LIT("MX"), TYPE_MX },
              { LIT("PTR"), TYPE_PTR }, { LIT("CNAME"), 5 },        { LIT("TXT"), 16 } };

static int type_of(slice name)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (slice_eq(types[i].name, name))
            return types[i].type;
    return -1;
}

static void put_rdata(struct packet *p, int type, slice value)
{
    struct address address;
    slice word;
    uint64_t preference;
    if (type == TYPE_A && address_parse(value, &address)) {
        put(p, &address.v4.sin_addr, 4);
    } else if (type == TYPE_AAAA && address_parse(value, &address)) {
        put(p, &address.v6.sin6_addr, 16);
    } else if (type == TYPE_MX) {
        value = slice_cut(value, ' ', &word, NULL);
        put_u16(p, parse_u64(word, &preference) ? (unsigned)preference : 0);
        put_name(p, value);
    } else if (type == 16) {
        char length = (char)value.len;
        put(p, &length, 1);
        put(p, value.ptr, value.len);
    } else {
        put_name(p, value);
    }
}

static void put_record(struct packet *p, slice name, int type, slice value)
{
    struct packet data = { 0 };
    put_name(p, name);
    put_u16(p, (unsigned)type);
    put_u16(p, 1);
    put(p, "\0\0\0\x3c", 4);
    put_rdata(&data, type, value);
    put_u16(p, (unsigned)data.len);
    put(p, data.octets, data.len);
    p->answers++;
}

static void put_many(struct packet *p, slice name, int type)
{
    char value[64];
    for (int i = 0; i < (type == TYPE_MX ? MANY_MX : MANY_A); i++) {
        snprintf(value, sizeof value, type == TYPE_MX ? "%d mx%d.many.test" : "192.0.2.%d", 100 - i, i);
        put_record(p, name, type, slice_from_cstr(value));
    }
}

/* -1: no answer; else the rcode. */
static int answer(struct packet *p, slice name, int type)
{
    int rcode = RCODE_NXDOMAIN;
    if (slice_eq(name, SLICE("many.test"))) {
        if (type == TYPE_MX || type == TYPE_A)
            put_many(p, name, type);
        return 0;
    }
    if (slice_eq(name, SLICE("half.test")) && type == TYPE_AAAA)
        return RCODE_SERVFAIL;
    for (size_t i = 0; i < COUNT(zone); i++) {
        slice owner, word, value = slice_cut(slice_from_cstr(zone[i]), ' ', &owner, NULL);
        if (!slice_eq_nocase(owner, name))
            continue;
        value = slice_cut(value, ' ', &word, NULL);
        if (slice_eq(word, SLICE("~")))
            return -1;
        if (slice_eq(word, SLICE("!")))
            return value.ptr[0] - '0';
        rcode = 0;
        if (slice_eq(word, SLICE("?"))) {
            put(p, value.ptr, slice_eq(owner, SLICE("loopname.test")) ? 16 : value.len);
            p->answers++;
        } else if (slice_eq(word, SLICE("CNAME")) && p->answers < 10) {
            put_record(p, name, 5, value);
            return answer(p, value, type);
        } else if (type_of(word) == type) {
            put_record(p, name, type, value);
        }
    }
    return rcode;
}

static void finish_packet(struct packet *p, int rcode)
{
    bool has_none = p->answers == 0;
    p->octets[2] = (char)0x85;           /* QR AA RD */
    p->octets[3] = (char)(0x80 | rcode); /* RA */
    p->octets[7] = (char)p->answers;
    p->octets[9] = has_none;
    p->octets[11] = 0;
    if (!has_none)
        return;
    /* SOA: how long to remember that there is nothing (RFC 2308) */
    put(p, "\0\0\6\0\1\0\0\0\x3c\0\x16\0\0", 13);
    put(p, "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1", 20);
}

static void *serve(void *context)
{
    (void)context;
    char query[1024];
    struct sockaddr_storage peer;
    for (;;) {
        socklen_t length = sizeof peer;
        ssize_t got = recvfrom(server_fd, query, sizeof query, 0, (struct sockaddr *)&peer, &length);
        if (got < 17)
            return NULL; /* one octet: the test is over */
        struct name name;
        slice rest;
        if (!name_from_wire(slice_from(query + 12, (size_t)got - 12), &name, &rest) || rest.len < 4)
            continue;
        struct packet *p = MEMORY_NEW(struct packet);
        put(p, query, (size_t)(rest.ptr + 4 - query));
        int rcode = answer(p, name_slice(&name), (unsigned char)rest.ptr[1]);
        if (rcode >= 0) {
            finish_packet(p, rcode);
            (void)!sendto(server_fd, p->octets, p->len, 0, (struct sockaddr *)&peer, length);
        }
        memory_free(p);
    }
}

/* the tests ----------------------------------------------------------------------------------------------------- */

static struct loop *loop;
static struct dns *dns;
static struct timer guard;
static struct text seen;
static enum dns_result result;
static int answers;

static int start_server(void **state)
{
    (void)state;
    assert_true(address_parse_with_port(SLICE("127.0.0.1:0"), &server_address));
    server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server_fd, &server_address.any, address_length(&server_address)), 0);
    socklen_t length = sizeof server_address;
    assert_int_equal(getsockname(server_fd, &server_address.any, &length), 0);
    snprintf(server_name, sizeof server_name, "127.0.0.1:%u", address_port(&server_address));
    return pthread_create(&server_thread, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(sendto(fd, "x", 1, 0, &server_address.any, address_length(&server_address)), 1);
    pthread_join(server_thread, NULL);
    close(fd);
    close(server_fd);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    struct text error = { 0 };
    loop = loop_new("test");
    dns = dns_new(loop, &(struct dns_params){ .server = server_name, .timeout_ms = 1500 }, &error);
    if (!dns)
        fail_msg("%s", text_cstr(&error));
    answers = 0;
    text_clear(&seen);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dns_free(dns);
    loop_free(loop);
    text_free(&seen);
    return 0;
}

static void too_late(void *context)
{
    (void)context;
    fail_msg("the loop did not stop");
}

static void run(void)
{
    timer_set(loop, &guard, SECONDS(15), too_late, NULL);
    loop_run(loop);
    timer_clear(loop, &guard);
}

/* Everything of the answer as one line. */
static void write_answer(const struct dns_answer *a)
{
    text_clear(&seen);
    for (size_t i = 0; i < a->mx_count; i++)
        text_add_format(&seen, "%u=" SLICE_FMT " ", a->mx[i].preference, SLICE_ARG(a->mx[i].host));
    if (a->mx_is_null)
        text_add_cstr(&seen, "null ");
    for (size_t i = 0; i < a->address_count; i++) {
        text_add_address(&seen, &a->addresses[i]);
        text_add_cstr(&seen, " ");
    }
    text_add_cstr(&seen, a->text);
}

static void on_answer(void *context, const struct dns_answer *a)
{
    (void)context;
    assert_true(loop_is_current(loop));
    answers++;
    result = a->result;
    assert_false(a->is_secure);
    if (a->result == DNS_OK)
        assert_true(a->ttl_s > 0 && a->ttl_s <= 60);
    write_answer(a);
    loop_stop(loop);
}

static const struct {
    char asks; /* 'm': MX, 'a': addresses, 'n': name */
    slice name;
    enum dns_result result;
    const char *seen;
} cases[] = {
    { 'm', LIT("alias.test"), DNS_OK, "10=mx? 10=mx? 20=mx3.plain.test " },
    { 'm', LIT("PLAIN.test."), DNS_OK, "10=mx? 10=mx? 20=mx3.plain.test " },
    { 'm', LIT("v4.test"), DNS_OK, "0=v4.test 192.0.2.4 " },
    { 'm', LIT("v6.test"), DNS_OK, "0=v6.test 2001:db8::6 " },
    { 'm', LIT("null.test"), DNS_OK, "null " },
    { 'm', LIT("nullish.test"), DNS_OK, "10=mx.nullish.test " },
    { 'm', LIT("text.test"), DNS_NO_DATA, "text.test: has neither mail exchangers (MX) nor addresses" },
    { 'm', LIT("nothing.test"), DNS_NO_NAME, "nothing.test: does not exist (NXDOMAIN)" },
    { 'm', LIT("refused.test"), DNS_TEMPORARY, "refused.test: *" },
    { 'm', LIT("servfail.test"), DNS_TEMPORARY, "servfail.test: *" },
    { 'm', LIT("loop1.test"), DNS_TEMPORARY, "loop1.test: *" },
    { 'm', LIT("garbage.test"), DNS_TEMPORARY, "garbage.test: *" },
    { 'm', LIT("loopname.test"), DNS_TEMPORARY, "loopname.test: *" },
    { 'm', LIT("silent.test"), DNS_TEMPORARY, "silent.test: no answer from the name servers within 2 seconds" },
    { 'm', LIT("evil.test"), DNS_OK, "20=good.test " },
    { 'm', LIT("evilonly.test"), DNS_NO_DATA, "evilonly.test: its mail exchangers (MX) are not valid host names" },
    { 'm', LIT("half.test"), DNS_OK, "0=half.test 192.0.2.9 " },
    { 'm', LIT("a..b"), DNS_BAD_NAME, "not a valid domain name" },
    { 'm', LIT(""), DNS_BAD_NAME, "not a valid domain name" },
    { 'm', LIT("a\nb.test"), DNS_BAD_NAME, "not a valid domain name" },
    { 'a', LIT("mx1.plain.test"), DNS_OK, "2001:db8::1 192.0.2.? 192.0.2.? 192.0.2.? " },
    { 'a', LIT("v4.test"), DNS_OK, "192.0.2.4 " },
    { 'a', LIT("text.test"), DNS_NO_DATA, "text.test: has no addresses (A or AAAA)" },
    { 'a', LIT("nothing.test"), DNS_NO_NAME, "nothing.test: does not exist (NXDOMAIN)" },
    { 'a', LIT("half.test"), DNS_OK, "192.0.2.9 " },
    { 'a', LIT("servfail.test"), DNS_TEMPORARY, "servfail.test: *" },
    /* special-use names go to the server that was named (RFC 6761) */
    { 'a', LIT("localhost"), DNS_OK, "127.0.0.1 " },
    { 'a', LIT("host.onion"), DNS_OK, "192.0.2.80 " },
    { 'a', LIT("printer.home.arpa"), DNS_OK, "192.0.2.81 " },
    { 'a', LIT("x.invalid"), DNS_OK, "192.0.2.82 " },
    { 'a', LIT("example.org"), DNS_OK, "192.0.2.83 " },
    { 'n', LIT("10.0.0.1"), DNS_OK, "0=honest.test " },
    { 'n', LIT("10.0.0.2"), DNS_NO_DATA, "no name of the address leads back to it" },
    { 'n', LIT("10.0.0.9"), DNS_NO_NAME, "9.0.0.10.in-addr.arpa: does not exist (NXDOMAIN)" },
    { 'n', LIT("127.0.0.1"), DNS_OK, "0=localhost " },
    { 'n', LIT("2001:db8::1"), DNS_OK, "0=mx1.plain.test " },
};

/* '?' takes one octet or one of the shuffled names, a '*' at the end takes the rest. */
static bool matches(const char *pattern, const char *text)
{
    for (; *pattern; pattern++, text++) {
        if (*pattern == '*')
            return *text != 0;
        if (pattern[0] == '?' && text > seen.ptr && text[-1] == 'x') {
            if (strncmp(text, "1.plain.test", 12) != 0 && strncmp(text, "2.plain.test", 12) != 0)
                return false;
            text += 11;
        } else if (*pattern != '?' && *pattern != *text) {
            return false;
        }
    }
    return *text == 0;
}

static void ask(char what, slice name)
{
    struct address address;
    if (what == 'm')
        dns_ask_mx(dns, loop, name, on_answer, NULL);
    else if (what == 'a')
        dns_ask_addresses(dns, loop, name, on_answer, NULL);
    else if (address_parse(name, &address))
        dns_ask_name(dns, loop, &address, on_answer, NULL);
}

static void test_questions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        answers = 0;
        ask(cases[i].asks, cases[i].name);
        assert_int_equal(answers, 0); /* never inside the call */
        run();
        if (result != cases[i].result || !matches(cases[i].seen, text_cstr(&seen)))
            fail_msg("%c %.*s: result %d, \"%s\"", cases[i].asks, SLICE_ARG(cases[i].name), result, text_cstr(&seen));
    }
}

/* More than is sensible: the best fifty hosts, thirty-two addresses. */
static void on_many_mx(void *context, const struct dns_answer *a)
{
    (void)context;
    assert_int_equal(a->mx_count, 50);
    for (size_t i = 0; i < a->mx_count; i++)
        assert_int_equal(a->mx[i].preference, 100 - MANY_MX + 1 + i);
    loop_stop(loop);
}
static void on_many_addresses(void *context, const struct dns_answer *a)
{
    (void)context;
    assert_int_equal(a->address_count, 32);
    loop_stop(loop);
}

static void test_bounds(void **state)
{
    (void)state;
    dns_ask_mx(dns, loop, SLICE("many.test"), on_many_mx, NULL);
    run();
    dns_ask_addresses(dns, loop, SLICE("many.test"), on_many_addresses, NULL);
    run();
}

/* Equal preferences take turns (RFC 5321 §5.1). */
static int first_is_mx1;
static void on_shuffled(void *context, const struct dns_answer *a)
{
    (void)context;
    first_is_mx1 += slice_eq(a->mx[0].host, SLICE("mx1.plain.test"));
    if (++answers == 100)
        loop_stop(loop);
}

static void test_equal_preferences_are_shuffled(void **state)
{
    (void)state;
    first_is_mx1 = 0;
    for (int i = 0; i < 100; i++)
        dns_ask_mx(dns, loop, SLICE("plain.test"), on_shuffled, NULL);
    run();
    assert_in_range(first_is_mx1, 15, 85);
}

static void test_cancel(void **state)
{
    (void)state;
    struct dns_question *questions[4];
    questions[0] = dns_ask_mx(dns, loop, SLICE("plain.test"), on_answer, NULL);
    questions[1] = dns_ask_addresses(dns, loop, SLICE("silent.test"), on_answer, NULL);
    questions[2] = dns_ask_addresses(dns, loop, SLICE("bad name"), on_answer, NULL);
    questions[3] = dns_ask_mx(dns, loop, SLICE("text.test"), on_answer, NULL);
    for (size_t i = 0; i < COUNT(questions); i++)
        dns_cancel(questions[i]);
    ask('a', SLICE("v4.test"));
    run();
    assert_int_equal(answers, 1);
    /* and what is still under way when the resolver ends is freed with it: the sanitizers watch */
    dns_cancel(dns_ask_addresses(dns, loop, SLICE("silent.test"), on_answer, NULL));
}

/* Another loop asks too, and gets its answers on its own thread. */
enum { OTHERS = 300 };
static struct loop *other_loop;
static int other_answers;
static void on_other(void *context, const struct dns_answer *a)
{
    (void)context;
    assert_true(loop_is_current(other_loop));
    assert_int_equal(a->result, DNS_OK);
    if (++other_answers == OTHERS)
        loop_stop(other_loop);
}
static void other_done(void *context)
{
    (void)context;
    loop_stop(loop);
}
static void *other(void *context)
{
    other_loop = loop_new("other");
    static const slice names[] = { LIT("plain.test"), LIT("v4.test"), LIT("v6.test") };
    other_answers = 0;
    for (size_t i = 0; i < OTHERS; i++)
        dns_ask_mx(dns, other_loop, names[i % COUNT(names)], on_other, NULL);
    loop_run(other_loop);
    loop_free(other_loop);
    loop_post(loop, other_done, context);
    return NULL;
}

static void test_two_loops(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other, NULL), 0);
    for (int i = 0; i < 50; i++)
        dns_ask_mx(dns, loop, SLICE("plain.test"), on_shuffled, NULL);
    run();
    pthread_join(thread, NULL);
    assert_int_equal(other_answers, OTHERS);
}

static void test_bad_server(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "example.org:53", "127.0.0.1:99999", "127.0.0.1:", "[::1" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct text error = { 0 };
        assert_null(dns_new(loop, &(struct dns_params){ .server = bad[i] }, &error));
        assert_true(slice_find(text_slice(&error), SLICE("an address with or without port is expected")) !=
                    SLICE_NOT_FOUND);
        text_free(&error);
    }
}

static int wanted_answers;
static void on_fast(void *context, const struct dns_answer *a)
{
    (void)context;
    assert_int_equal(a->result, DNS_OK);
    if (++answers == wanted_answers)
        loop_stop(loop);
}

/* Our server knows nothing of DNSSEC: with a trust anchor nothing could be believed, but mail must flow. */
static void test_forwarder_without_dnssec(void **state)
{
    (void)state;
    if (access("/usr/share/dns/root.key", R_OK) != 0) {
        print_message("skipped: no trust anchor (package dns-root-data)\n");
        skip();
    }
    struct text error = { 0 };
    struct dns_setup setup = { .servers = { server_address }, .server_count = 1, .has_anchor = true };
    dns_free(dns);
    dns = dns_open(loop, &setup, 5000, &error);
    assert_non_null(dns);
    for (int i = 0; i < 3; i++) { /* several wait for the same verdict, one comes after it */
        answers = 0;
        wanted_answers = 5;
        for (int k = 0; k < wanted_answers; k++)
            dns_ask_addresses(dns, loop, SLICE("example.org"), on_fast, NULL);
        run();
    }
    assert_false(dns_validates(dns));
    assert_int_equal(dns->root, ROOT_UNPROVABLE);
    /* proven once, a forged answer stays one */
    dns_free(dns);
    dns = dns_open(loop, &setup, 5000, &error);
    dns->root = ROOT_PROVEN;
    assert_true(dns_validates(dns));
    ask('a', SLICE("example.org"));
    run();
    assert_int_equal(result, DNS_BOGUS);
    assert_true(slice_starts_with(text_slice(&seen), SLICE("example.org: DNSSEC validation failed: ")));
}

static void test_system_resolver_starts(void **state)
{
    (void)state;
    struct text error = { 0 };
    struct dns *system = dns_new(loop, &(struct dns_params){ 0 }, &error);
    if (!system)
        fail_msg("%s", text_cstr(&error));
    dns_free(system);
}

/* How many answers a second come from the cache, for whoever reads the test's output. */
static void test_cached_answers(void **state)
{
    (void)state;
    wanted_answers = 1;
    dns_ask_mx(dns, loop, SLICE("plain.test"), on_fast, NULL);
    run();
    uint64_t start = clock_monotonic_ms();
    answers = 0;
    wanted_answers = 500;
    for (int round = 0; round < 10; round++, answers = 0) {
        for (int i = 0; i < wanted_answers; i++)
            dns_ask_mx(dns, loop, SLICE("plain.test"), on_fast, NULL);
        run();
    }
    print_message("5000 cached MX answers in %u ms\n", (unsigned)(clock_monotonic_ms() - start));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_questions),
        TEST(test_bounds),
        TEST(test_equal_preferences_are_shuffled),
        TEST(test_cancel),
        TEST(test_two_loops),
        TEST(test_bad_server),
        TEST(test_forwarder_without_dnssec),
        TEST(test_system_resolver_starts),
        TEST(test_cached_answers),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
