#include "deliver/fake_peers.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h> /* wants the others before it */
/*
 * Where mail for a domain goes: the server of the script listens on 127.0.0.1 (mx.test, us.test); other addresses of
 * the loopback network refuse.
 */
#define SERVED(x)                                                                                                      \
    ">220 mx\n<EHLO us.test\n>250 mx\n<MAIL FROM:<me@us.test>\n>250 ok\n<RCPT TO:<a@there.test>\n>250 ok\n"            \
    "<DATA\n>354 go\n@\n>250 2.0.0 " x "\n<QUIT\nCLOSE\n"
#define TAKEN "1.1 relayed content 2.0.0 250 one\nend usable\n"

static const struct fake_name names[] = {
    { "mx.test", DNS_OK, NULL, "127.0.0.1" },
    { "down.test", DNS_OK, NULL, "127.0.0.2" },
    { "many.test", DNS_OK, NULL, "127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.1" },
    { "bare.test", DNS_OK, NULL, NULL },
    { "slow.test", DNS_TEMPORARY, NULL, NULL },
    { "simple", DNS_OK, "10 mx.test", NULL },
    { "order", DNS_OK, "10 down.test,20 mx.test", NULL },
    { "addresses", DNS_OK, "10 many.test", NULL },
    { "null", DNS_OK, "null", NULL },
    { "nothing", DNS_NO_DATA, NULL, NULL },
    { "servfail", DNS_TEMPORARY, NULL, NULL },
    { "bogus", DNS_BOGUS, NULL, NULL },
    { "badname", DNS_BAD_NAME, NULL, NULL },
    { "lost", DNS_OK, "10 gone.test,20 bare.test", NULL },
    { "lostorslow", DNS_OK, "10 gone.test,20 slow.test", NULL },
    { "slowfirst", DNS_OK, "10 slow.test,20 mx.test", NULL },
    { "ours", DNS_OK, "10 us.test,20 mx.test", NULL },
    { "oursequal", DNS_OK, "10 mx.test,10 us.test", NULL },
    { "backup", DNS_OK, "10 down.test,20 us.test,30 mx.test", NULL },
    { "alldown", DNS_OK, "10 down.test,20 down.test", NULL },
    { "five.test", DNS_OK, NULL, "127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6" },
    { "toomany", DNS_OK, "1 five.test,2 five.test,3 five.test,4 mx.test", NULL },
    { "twice", DNS_OK, "10 mx.test,20 mx.test", NULL },
    { NULL },
};

struct walk_row {
    const char *domain, *script, *log;
    enum destination_kind kind;
    bool has_own_address; /* the server's address is one of ours */
    unsigned connections; /* that reached the server */
};
/* clang-format off: a table */
static const struct walk_row rows[] = {
    { "simple", SERVED("one"), TAKEN, .connections = 1 },
    { "order", SERVED("one"), TAKEN, .connections = 1 },
    { "addresses", SERVED("one"), TAKEN, .connections = 1 },
    { "slowfirst", SERVED("one"), TAKEN, .connections = 1 },
    { "[127.0.0.1]", SERVED("one"), TAKEN, .connections = 1 },
    { "null", "", "end unusable failed dns 5.1.10 0 the domain null says that it takes no mail (null MX)\n" },
    { "unknown", "", "end unusable failed dns 5.1.2 0 the domain unknown does not exist\n" },
    { "badname", "", "end unusable failed dns 5.1.2 0 badname is not a name the DNS can have\n" },
    { "nothing", "",
      "end unusable failed dns 5.4.4 0 the domain nothing has no mail server: neither MX nor address records\n" },
    { "servfail", "",
      "end unusable delayed dns 4.4.3 0 the mail servers of servfail cannot be looked up now: the name server did not "
      "answer\n" },
    { "bogus", "",
      "end unusable delayed dns 4.4.3 0 the mail servers of bogus cannot be looked up now: the name server did not "
      "answer\n" },
    { "lost", "", "end unusable failed dns 5.4.4 0 the mail server bare.test has no address in the DNS\n" },
    { "lostorslow", "", "end unusable delayed dns 4.4.3 0 the address of slow.test cannot be looked up now\n" },
    { "alldown", "", "end unusable delayed connect 4.4.1 0 cannot connect to down.test: connection refused\n" },
    { "toomany", "", "end unusable delayed connect 4.4.1 0 *\n" },
    { "ours", "",
      "end unusable failed dns 5.4.6 0 mail loops back to us: the mail exchanger of ours is this server (us.test), "
      "which does not have "
      "ours among its own domains\n" },
    { "oursequal", "", "end unusable failed dns 5.4.6 0 *\n" },
    { "simple", "", "end unusable failed dns 5.4.6 0 *\n", .has_own_address = true },
    { "[127.0.0.1]", "", "end unusable failed dns 5.4.6 0 *\n", .has_own_address = true },
    { "backup", "", "end unusable delayed connect 4.4.1 0 cannot connect to down.test: connection refused\n" },

    /* RFC 5321 §5.1: a host that turns us away is not the last word */
    { "twice", ">421 busy\nCLOSE\nNEXT\n" SERVED("one"), TAKEN, .connections = 2 },
    { "twice", ">554 no\n<QUIT\nNEXT\n" SERVED("one"), TAKEN, .connections = 2 },
    { "twice", "CLOSE\nNEXT\n" SERVED("one"), TAKEN, .connections = 2 },
    { "twice", "RESET\nNEXT\n" SERVED("one"), TAKEN, .connections = 2 },
    { "twice", ">554 no\nNEXT\n>554 5.7.1 not here\n", "end unusable failed greeting 5.7.1 554 not here\n",
      .connections = 2 },
    { "twice", ">554 no\nNEXT\n>421 4.3.2 later\nCLOSE\n", "end unusable delayed greeting 4.3.2 421 later\n",
      .connections = 2 },
    { "twice", ">421 4.3.2 later\nCLOSE\nNEXT\n>554 no\n", "end unusable delayed greeting 4.3.2 421 later\n",
      .connections = 2 },

    /* our own next hop: never a bounce */
    { "mx.test", SERVED("one"), TAKEN, DESTINATION_HOST, .connections = 1 },
    { "many.test", SERVED("one"), TAKEN, DESTINATION_HOST, .connections = 1 },
    { "gone.test", "", "end unusable delayed dns 4.4.4 0 the mail server gone.test has no address in the DNS\n",
      DESTINATION_HOST },
    { "slow.test", "", "end unusable delayed dns 4.4.3 0 the address of slow.test cannot be looked up now\n",
      DESTINATION_HOST },
    { "mx.test", ">554 5.7.1 no\n", "end unusable delayed greeting 4.7.1 554 no\n", DESTINATION_HOST,
      .connections = 1 },
    { "unix:/nonexistent/socket", "", "end unusable delayed connect 4.4.1 0 *\n", DESTINATION_LMTP },
};
/* clang-format on */

static void walk(void **state)
{
    const struct walk_row *row = *state;
    struct world w;
    fake_names = names;
    world_new(&w, row->script, NULL);
    world_add_message(&w, 1, SLICE("Subject: x\r\n\r\n"));
    w.destination.kind = row->kind;
    w.destination.host = w.destination.name = slice_from_cstr(row->domain);
    struct address elsewhere = w.address;
    address_set_port(&elsewhere, 1);
    deliverer_set_own_addresses(w.deliverer, row->has_own_address ? &w.address : &elsewhere, 1);
    world_run(&w);
    world_assert_log(&w, row->domain, row->log);
    assert_int_equal(w.accepted, row->connections);
    world_free(&w);
}

static void without_names(void **state)
{
    (void)state;
    struct world w;
    world_new(&w, "", NULL);
    world_add_message(&w, 1, SLICE("x\r\n"));
    w.destination.kind = DESTINATION_MX;
    w.destination.host = SLICE("simple");
    w.deliverer->doors.dns = NULL;
    world_run(&w);
    world_assert_log(&w, "no name server", "end unusable delayed dns 4.3.5 0 this server has no name server to ask\n");
    world_free(&w);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 1];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){ .name = rows[i].domain,
                                        .test_func = walk,
                                        .initial_state = (void *)(uintptr_t)&rows[i] };
    tests[COUNT(rows)] = (struct CMUnitTest){ .name = "no name server", .test_func = without_names };
    return _cmocka_run_group_tests("walks", tests, COUNT(tests), NULL, NULL);
}
