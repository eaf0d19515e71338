#include "base/memory.h"
#include "programs/keyring/accounts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HASH  "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
#define OTHER "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"

struct place {
    char folder[64];
    struct accounts *accounts;
    struct text error;
};

static int set_up(void **state)
{
    struct place *p = MEMORY_NEW(struct place);
    snprintf(p->folder, sizeof p->folder, "/tmp/accounts-test-XXXXXX");
    if (!mkdtemp(p->folder))
        return -1;
    p->accounts = accounts_open(p->folder, &p->error);
    *state = p;
    return p->accounts ? 0 : -1;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    const char *const names[] = { "accounts.db", "accounts.db-wal", "accounts.db-shm" };
    accounts_close(p->accounts);
    for (size_t i = 0; i < COUNT(names); i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%s", p->folder, names[i]);
        unlink(name);
    }
    int result = rmdir(p->folder);
    text_free(&p->error);
    memory_free(p);
    return result;
}

static void test_a_life(void **state)
{
    struct place *p = *state;
    struct text hash = { 0 };
    assert_int_equal(accounts_add(p->accounts, SLICE("Ann@Example.ORG"), SLICE(HASH), &p->error), ACCOUNTS_OK);
    assert_int_equal(p->error.len, 0);
    assert_int_equal(accounts_find(p->accounts, SLICE("ann@example.org"), &hash, &p->error), ACCOUNTS_OK);
    assert_true(slice_eq(text_slice(&hash), SLICE(HASH)));

    assert_int_equal(accounts_set_hash(p->accounts, SLICE("ANN@example.org"), SLICE(OTHER), &p->error), ACCOUNTS_OK);
    text_clear(&hash);
    assert_int_equal(accounts_find(p->accounts, SLICE("ann@example.org"), &hash, &p->error), ACCOUNTS_OK);
    assert_true(slice_eq(text_slice(&hash), SLICE(OTHER)));

    assert_int_equal(accounts_remove(p->accounts, SLICE("ann@example.org"), &p->error), ACCOUNTS_OK);
    assert_int_equal(accounts_find(p->accounts, SLICE("ann@example.org"), &hash, &p->error), ACCOUNTS_UNKNOWN);
    text_free(&hash);
}

static void test_refusals(void **state)
{
    struct place *p = *state;
    assert_int_equal(accounts_add(p->accounts, SLICE("ann@example.org"), SLICE(HASH), &p->error), ACCOUNTS_OK);
    const struct {
        const char *name;
        slice address, hash;
        enum accounts_result result;
    } cases[] = {
        { "twice", LIT("ann@example.org"), LIT(HASH), ACCOUNTS_EXISTS },
        { "twice, other case", LIT("Ann@EXAMPLE.org"), LIT(HASH), ACCOUNTS_EXISTS },
        { "no domain", LIT("ann"), LIT(HASH), ACCOUNTS_BAD_ADDRESS },
        { "no name", LIT("@example.org"), LIT(HASH), ACCOUNTS_BAD_ADDRESS },
        { "empty", LIT(""), LIT(HASH), ACCOUNTS_BAD_ADDRESS },
        { "NUL", LIT("bob\0@example.org"), LIT(HASH), ACCOUNTS_BAD_ADDRESS },
        { "line end", LIT("bob@example.org\n"), LIT(HASH), ACCOUNTS_BAD_ADDRESS },
        { "path", LIT("bob/x@example.org"), LIT(HASH), ACCOUNTS_BAD_ADDRESS },
        { "path in quotes", LIT("\"../bob\"@example.org"), LIT(HASH), ACCOUNTS_BAD_ADDRESS },
        { "quotes for SQL", LIT("';--@example.org"), LIT(HASH), ACCOUNTS_BAD_ADDRESS },
        { "no hash", LIT("bob@example.org"), LIT(""), ACCOUNTS_BAD_HASH },
        { "a password for a hash", LIT("bob@example.org"), LIT("secret"), ACCOUNTS_BAD_HASH },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        text_clear(&p->error);
        enum accounts_result result = accounts_add(p->accounts, cases[i].address, cases[i].hash, &p->error);
        if (result != cases[i].result || p->error.len == 0)
            fail_msg("%s: %d, %s", cases[i].name, result, text_cstr(&p->error));
    }
    assert_int_equal(accounts_set_hash(p->accounts, SLICE("bob@example.org"), SLICE(HASH), &p->error),
                     ACCOUNTS_UNKNOWN);
    assert_int_equal(accounts_remove(p->accounts, SLICE("bob@example.org"), &p->error), ACCOUNTS_UNKNOWN);
}

static void note(void *context, const struct account_record *record)
{
    struct text *names = context;
    text_add(names, record->address);
    text_add_byte(names, record->created_ms && record->changed_ms >= record->created_ms ? ' ' : '!');
}

static void test_order_and_reopening(void **state)
{
    struct place *p = *state;
    struct text names = { 0 };
    assert_int_equal(accounts_add(p->accounts, SLICE("zoe@example.org"), SLICE(HASH), &p->error), ACCOUNTS_OK);
    assert_int_equal(accounts_add(p->accounts, SLICE("ann@example.org"), SLICE(HASH), &p->error), ACCOUNTS_OK);
    accounts_close(p->accounts);
    p->accounts = accounts_open(p->folder, &p->error);
    assert_non_null(p->accounts);
    assert_true(accounts_each(p->accounts, note, &names, &p->error));
    assert_string_equal(text_cstr(&names), "ann@example.org zoe@example.org ");
    text_free(&names);
}

static void test_nobody_else_reads_it(void **state)
{
    struct place *p = *state;
    char name[128];
    struct stat file;
    snprintf(name, sizeof name, "%s/accounts.db", p->folder);
    assert_int_equal(stat(name, &file), 0);
    assert_int_equal(file.st_mode & 077, 0);
}

static void test_what_cannot_be_opened(void **state)
{
    struct place *p = *state;
    assert_null(accounts_open("/nonexistent/folder", &p->error));
    assert_true(slice_find(text_slice(&p->error), SLICE("No such file")) != SLICE_NOT_FOUND);

    char name[128];
    accounts_close(p->accounts);
    snprintf(name, sizeof name, "%s/accounts.db", p->folder);
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs("this is not a database, and it is long enough to be looked at as one................................", file);
    fclose(file);
    text_clear(&p->error);
    p->accounts = accounts_open(p->folder, &p->error);
    assert_null(p->accounts);
    assert_true(slice_find(text_slice(&p->error), SLICE("not a database")) != SLICE_NOT_FOUND);
}

/* keyring's working folder may lie below folders that its user cannot pass: only relative names work there. */
static void test_relative_names(void **state)
{
    struct place *p = *state;
    char before[4096], folder[80];
    assert_non_null(getcwd(before, sizeof before));
    snprintf(folder, sizeof folder, "%s", p->folder);
    accounts_close(p->accounts);
    assert_int_equal(chdir(folder), 0);
    p->accounts = accounts_open(".", &p->error);
    assert_non_null(p->accounts);
    assert_int_equal(accounts_add(p->accounts, SLICE("ann@example.org"), SLICE(HASH), &p->error), ACCOUNTS_OK);
    assert_int_equal(chdir(before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order_and_reopening, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_else_reads_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_opened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_relative_names, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
