#include "base/clock.h"
#include "base/memory.h"
#include "programs/keyring/password.h"
#include "programs/keyring/verifier.h"
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char folder[64];
    struct loop *loop;
    struct accounts *accounts;
    struct roster roster;
    struct verifier *verifier;
    size_t open, yes, no, temporary;
    char account[64];
};

static void make_accounts(struct place *p)
{
    struct text hash = { 0 }, error = { 0 };
    static struct config_account configured[] = {
        { .address = LIT("Clear@Example.org"), .password = LIT("from the file") },
        { .address = LIT("locked@example.org"), .password_hash = LIT("*") },
        { .address = LIT("both@example.org"), .password = LIT("the file's") },
    };
    struct config config = { .accounts = configured, .account_count = COUNT(configured) };
    assert_true(password_make_hash(SLICE("sesame"), &hash));
    assert_int_equal(accounts_add(p->accounts, SLICE("ann@example.org"), text_slice(&hash), &error), ACCOUNTS_OK);
    assert_int_equal(accounts_add(p->accounts, SLICE("both@example.org"), text_slice(&hash), &error), ACCOUNTS_OK);
    assert_true(roster_load(&p->roster, &config, p->accounts, &error));
    text_free(&hash);
    text_free(&error);
}

static int set_up(void **state)
{
    struct place *p = MEMORY_NEW(struct place);
    struct text error = { 0 };
    snprintf(p->folder, sizeof p->folder, "/tmp/verifier-test-XXXXXX");
    if (sodium_init() < 0 || !mkdtemp(p->folder))
        return -1;
    p->loop = loop_new("test");
    p->accounts = accounts_open(p->folder, &error);
    if (!p->accounts)
        return -1;
    roster_init(&p->roster);
    make_accounts(p);
    p->verifier = verifier_new(p->loop, &p->roster);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char name[128];
    loop_free(p->loop);
    verifier_free(p->verifier);
    roster_free(&p->roster);
    accounts_close(p->accounts);
    snprintf(name, sizeof name, "%s/accounts.db", p->folder);
    unlink(name);
    int result = rmdir(p->folder);
    memory_free(p);
    return result;
}

static void on_answer(void *context, bool ok, bool temporary, slice account)
{
    struct place *p = context;
    p->yes += ok;
    p->no += !ok && !temporary;
    p->temporary += temporary;
    snprintf(p->account, sizeof p->account, SLICE_FMT, SLICE_ARG(account));
    if (--p->open == 0)
        loop_stop(p->loop);
}

static void ask(struct place *p, slice name, slice password)
{
    p->open++;
    verifier_ask(p->verifier, name, password, on_answer, p);
}

static void reset(struct place *p)
{
    p->yes = p->no = p->temporary = 0;
    p->account[0] = 0;
}

static void run(struct place *p)
{
    if (p->open)
        loop_run(p->loop);
}

static void test_table(void **state)
{
    struct place *p = *state;
    const struct {
        const char *what;
        slice name, password;
        const char *account; /* NULL: no */
    } cases[] = {
        { "right", LIT("ann@example.org"), LIT("sesame"), "ann@example.org" },
        { "right, other case of the name", LIT("Ann@EXAMPLE.org"), LIT("sesame"), "ann@example.org" },
        { "wrong", LIT("ann@example.org"), LIT("Sesame"), NULL },
        { "empty", LIT("ann@example.org"), LIT(""), NULL },
        { "NUL behind", LIT("ann@example.org"), LIT("sesame\0"), NULL },
        { "nobody", LIT("bob@example.org"), LIT("sesame"), NULL },
        { "not an address", LIT("ann"), LIT("sesame"), NULL },
        { "no name", LIT(""), LIT(""), NULL },
        { "in clear in the configuration", LIT("clear@example.org"), LIT("from the file"), "clear@example.org" },
        { "in clear, wrong", LIT("clear@example.org"), LIT("from the fil"), NULL },
        { "in clear, empty", LIT("clear@example.org"), LIT(""), NULL },
        { "locked", LIT("locked@example.org"), LIT("*"), NULL },
        { "locked, empty", LIT("locked@example.org"), LIT(""), NULL },
        { "the configuration wins", LIT("both@example.org"), LIT("the file's"), "both@example.org" },
        { "the store's is hidden then", LIT("both@example.org"), LIT("sesame"), NULL },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        reset(p);
        ask(p, cases[i].name, cases[i].password);
        run(p);
        if (p->yes != (cases[i].account != NULL) || p->no != (cases[i].account == NULL) ||
            strcmp(p->account, cases[i].account ? cases[i].account : "") != 0)
            fail_msg("%s: yes %zu no %zu %s", cases[i].what, p->yes, p->no, p->account);
    }
}

static void test_remembered_until_it_changes(void **state)
{
    struct place *p = *state;
    struct text hash = { 0 };
    ask(p, SLICE("ann@example.org"), SLICE("sesame"));
    run(p);
    ask(p, SLICE("ann@example.org"), SLICE("sesame"));
    assert_int_equal(p->open, 0); /* answered inside the call: no hash */
    assert_int_equal(p->yes, 2);
    ask(p, SLICE("ann@example.org"), SLICE("sesamE"));
    assert_int_equal(p->open, 1);
    run(p);
    assert_int_equal(p->no, 1);

    const struct roster_account *ann = roster_find(&p->roster, SLICE("ann@example.org"));
    uint64_t now = loop_now_ms(p->loop);
    assert_true(roster_knows(&p->roster, ann, SLICE("sesame"), now + MINUTES(4)));
    assert_false(roster_knows(&p->roster, ann, SLICE("sesame"), now + MINUTES(6)));

    assert_true(password_make_hash(SLICE("other"), &hash));
    roster_set(&p->roster, SLICE("ann@example.org"), text_slice(&hash));
    reset(p);
    ask(p, SLICE("ann@example.org"), SLICE("sesame"));
    run(p);
    assert_int_equal(p->no, 1);
    roster_remove(&p->roster, SLICE("Ann@example.org"));
    ask(p, SLICE("ann@example.org"), SLICE("other"));
    run(p);
    assert_int_equal(p->no, 2);
    text_free(&hash);
}

static void test_change_while_it_runs(void **state)
{
    struct place *p = *state;
    ask(p, SLICE("ann@example.org"), SLICE("sesame"));
    roster_remove(&p->roster, SLICE("ann@example.org"));
    run(p);
    assert_int_equal(p->yes, 0);
}

static void test_a_crowd_with_one_password(void **state)
{
    struct place *p = *state;
    uint64_t start = clock_monotonic_ms();
    for (int i = 0; i < 500; i++)
        ask(p, SLICE("ann@example.org"), SLICE("sesame"));
    run(p);
    assert_int_equal(p->yes, 500);
    assert_true(clock_monotonic_ms() - start < 5000); /* 500 hashes would take 12 s of CPU */
}

static void test_a_flood_is_bounded(void **state)
{
    struct place *p = *state;
    for (int i = 0; i < VERIFIER_WAITING_MAX + 300; i++)
        ask(p, SLICE("nobody@example.org"), SLICE("x"));
    assert_true(p->temporary >= 200);
    assert_int_equal(p->temporary + p->open, VERIFIER_WAITING_MAX + 300);
    assert_false(verifier_is_idle(p->verifier));
    p->open = 1; /* not all of them: the first answer ends the loop */
    run(p);
    assert_true(p->no >= 1);
}

static uint64_t time_of(struct place *p, slice name)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        uint64_t start = clock_monotonic_ns();
        ask(p, name, SLICE("wrong"));
        run(p);
        uint64_t took = clock_monotonic_ns() - start;
        best = took < best ? took : best;
    }
    return best;
}

static void test_nobody_costs_the_same(void **state)
{
    struct place *p = *state;
    uint64_t somebody = time_of(p, SLICE("ann@example.org"));
    const slice others[] = { SLICE("bob@example.org"), SLICE("not an address"), SLICE("clear@example.org"),
                             SLICE("locked@example.org") };
    for (size_t i = 0; i < COUNT(others); i++) {
        uint64_t other = time_of(p, others[i]);
        assert_true(other > somebody / 3 && other < somebody * 3);
    }
}

static void test_names(void **state)
{
    struct place *p = *state;
    struct text names = { 0 };
    roster_add_names(&p->roster, &names);
    const slice expected[] = { SLICE("ann@example.org\n"), SLICE("clear@example.org\n"), SLICE("both@example.org\n"),
                               SLICE("locked@example.org\n") };
    size_t octets = 0;
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(slice_find(text_slice(&names), expected[i]) != SLICE_NOT_FOUND);
        octets += expected[i].len;
    }
    assert_int_equal(names.len, octets);
    text_free(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_remembered_until_it_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_change_while_it_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_crowd_with_one_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_costs_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
