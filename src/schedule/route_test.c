#include "base/arena.h"
#include "schedule/schedule.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char configuration[] =
    "hostname: mx.example.org\n"
    "dns: {mx_port: 2525}\n"
    "domains: [{name: ours.org}, {name: store.org}]\n"
    "routes:\n"
    "  - {domains: [exact.net, .below.net], via: smarthost, host: \"relay.net:587\"}\n"
    "  - {domains: [sub.below.net, other.net], via: discard}\n"
    "  - {domains: store.org, via: lmtp, host: \"unix:/run/lmtp\"}\n"
    "  - {domains: six.net, via: lmtp, host: \"[2001:db8::1]:24\"}\n"
    "  - {domains: kept.net, via: capture, mailbox: some@where}\n"
    "  - {domains: safe.net, via: mx, tls: verified, connections: 3, messages_per_connection: 7}\n"
    "  - {domains: auth.net, via: smarthost, host: \"relay.net:465\", tls: implicit, username: u, password: p}\n"
    "%s";

static struct config *read_config(const char *more)
{
    char yaml[4096];
    struct config_mistakes mistakes = { 0 };
    int len = snprintf(yaml, sizeof(yaml), configuration, more);
    struct config *config = config_read_text(slice_from(yaml, (size_t)len), "test", "", &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        print_error(SLICE_FMT "\n", SLICE_ARG(mistakes.items[i].what));
    config_mistakes_free(&mistakes);
    assert_non_null(config);
    return config;
}

static struct directory *our_directory(void)
{
    struct directory *directory = directory_new();
    directory_add_domain(directory, SLICE("ours.org"), SLICE(""), SLICE("+"));
    directory_add_domain(directory, SLICE("store.org"), SLICE(""), SLICE("+"));
    directory_finish(directory);
    return directory;
}

static void test_find(void **state)
{
    (void)state;
    static const char rest[] = "  - {domains: \"*\", via: smarthost, host: \"rest.net:25\", tls: none}\n";
    static const struct {
        const char *rest, *domain, *key, *name, *host; /* key NULL: no route */
        enum destination_kind kind;
        unsigned port;
    } cases[] = {
        { "", "ours.org", "mailbox", "mailbox", "", DESTINATION_MAILBOX, 0 },
        { rest, "OURS.org", "mailbox", "mailbox", "", DESTINATION_MAILBOX, 0 },
        { "", "store.org", "lmtp:unix:/run/lmtp", "unix:/run/lmtp", "unix:/run/lmtp", DESTINATION_LMTP, 0 },
        { "", "exact.net", "host:relay.net:587", "relay.net:587", "relay.net", DESTINATION_HOST, 587 },
        { "", "EXACT.net", "host:relay.net:587", "relay.net:587", "relay.net", DESTINATION_HOST, 587 },
        { "", "a.b.below.net", "host:relay.net:587", "relay.net:587", "relay.net", DESTINATION_HOST, 587 },
        { "", "sub.below.net", "host:relay.net:587", "relay.net:587", "relay.net", DESTINATION_HOST,
          587 }, /* first in the file */
        { "", "below.net", "mx:below.net", "below.net", "below.net", DESTINATION_MX, 2525 },
        { "", "xbelow.net", "mx:xbelow.net", "xbelow.net", "xbelow.net", DESTINATION_MX, 2525 },
        { "", "other.net", "discard", "discard", "", DESTINATION_DISCARD, 0 },
        { "", "six.net", "lmtp:[2001:db8::1]:24", "[2001:db8::1]:24", "2001:db8::1", DESTINATION_LMTP, 24 },
        { "", "kept.net", "capture:some@where", "capture:some@where", "", DESTINATION_MAILBOX, 0 },
        { "", "Safe.net", "mx:safe.net tls=verified", "safe.net", "safe.net", DESTINATION_MX, 2525 },
        { "", "auth.net", "host:relay.net:465 tls=implicit as=u", "relay.net:465", "relay.net", DESTINATION_HOST, 465 },
        { "", "[192.0.2.1]", "host:192.0.2.1:2525", "192.0.2.1:2525", "192.0.2.1", DESTINATION_HOST, 2525 },
        { "", "[IPv6:2001:db8::2]", "host:[2001:db8::2]:2525", "[2001:db8::2]:2525", "2001:db8::2", DESTINATION_HOST,
          2525 },
        { "", "[2001:db8::2]", NULL, "", "", DESTINATION_MX, 0 },
        { "", "[x-tag:abc]", NULL, "", "", DESTINATION_MX, 0 },
        { "", "[", NULL, "", "", DESTINATION_MX, 0 },
        { "", "", NULL, "", "", DESTINATION_MX, 0 },
        { "", "unnamed.net", "mx:unnamed.net", "unnamed.net", "unnamed.net", DESTINATION_MX, 2525 },
        { rest, "unnamed.net", "host:rest.net:25 tls=none", "rest.net:25", "rest.net", DESTINATION_HOST, 25 },
        { rest, "[192.0.2.1]", "host:rest.net:25 tls=none", "rest.net:25", "rest.net", DESTINATION_HOST, 25 },
    };
    struct directory *directory = our_directory();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config *config = read_config(cases[i].rest);
        struct arena memory = { 0 };
        struct destination to = { 0 };
        struct path path = { SLICE("x"), slice_from_cstr(cases[i].domain) };
        bool found = route_find(config, directory, path, &memory, &to);
        if (found != (cases[i].key != NULL) || (found && (!slice_eq(to.key, slice_from_cstr(cases[i].key)) ||
                                                          !slice_eq(to.name, slice_from_cstr(cases[i].name)) ||
                                                          !slice_eq(to.host, slice_from_cstr(cases[i].host)) ||
                                                          to.kind != cases[i].kind || to.port != cases[i].port)))
            fail_msg("row %zu, %s: key \"" SLICE_FMT "\" name \"" SLICE_FMT "\" host \"" SLICE_FMT "\" kind %d port %u",
                     i, cases[i].domain, SLICE_ARG(to.key), SLICE_ARG(to.name), SLICE_ARG(to.host), (int)to.kind,
                     to.port);
        arena_free(&memory);
        config_release(config);
    }
    directory_release(directory);
}

static void test_parts(void **state)
{
    (void)state;
    struct directory *directory = our_directory();
    struct config *config = read_config("");
    struct arena memory = { 0 };
    struct destination to;
    assert_true(route_find(config, directory, (struct path){ SLICE("x"), SLICE("safe.net") }, &memory, &to));
    assert_int_equal(to.tls, DESTINATION_TLS_VERIFIED);
    assert_int_equal(to.connections_max, 3);
    assert_int_equal(to.messages_per_connection, 7);
    assert_true(route_find(config, directory, (struct path){ SLICE("x"), SLICE("auth.net") }, &memory, &to));
    assert_int_equal(to.tls, DESTINATION_TLS_IMPLICIT);
    assert_true(slice_eq(to.username, SLICE("u")) && slice_eq(to.password, SLICE("p")));
    assert_true(route_find(config, directory, (struct path){ SLICE("x"), SLICE("kept.net") }, &memory, &to));
    assert_true(slice_eq(to.mailbox, SLICE("some@where")));
    assert_true(to.connections_max > 0 && to.messages_per_connection > 0);
    assert_true(route_find(config, directory, (struct path){ SLICE("x"), SLICE("new.net") }, &memory, &to));
    assert_int_equal(to.tls, DESTINATION_TLS_OPPORTUNISTIC);
    assert_true(to.connections_max > 0 && to.messages_per_connection > 0);
    arena_free(&memory);
    config_release(config);
    directory_release(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_find), cmocka_unit_test(test_parts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
