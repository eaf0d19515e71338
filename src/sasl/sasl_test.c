#include "sasl/sasl.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A dialogue of the server: what the client sends, what comes of it. */
struct turn {
    bool has_response;
    slice response;
    enum sasl_result result;
    slice challenge;
};
#define SAYS(text) true, LIT(text)
#define SAYS_NOTHING false, LIT("")

static void server_dialogues(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        slice mechanism;
        struct turn turns[4];
        slice name, password, authorization;
    } cases[] = {
        { "PLAIN at once", LIT("plain"), { { SAYS("\0ann\0pass word"), SASL_VERIFY, LIT("") } }, LIT("ann"), LIT("pass word"), LIT("") },
        { "PLAIN, asked first", LIT("PLAIN"),
          { { SAYS_NOTHING, SASL_CHALLENGE, LIT("") }, { SAYS("\0ann\0x"), SASL_VERIFY, LIT("") } }, LIT("ann"), LIT("x"), LIT("") },
        { "PLAIN for oneself", LIT("PLAIN"), { { SAYS("ann\0ann\0x"), SASL_VERIFY, LIT("") } }, LIT("ann"), LIT("x"), LIT("ann") },
        { "PLAIN for another", LIT("PLAIN"), { { SAYS("bob\0ann\0x"), SASL_BAD, LIT("") } }, LIT(""), LIT(""), LIT("") },
        { "PLAIN, no password", LIT("PLAIN"), { { SAYS("\0ann\0"), SASL_BAD, LIT("") } }, LIT(""), LIT(""), LIT("") },
        { "PLAIN, no name", LIT("PLAIN"), { { SAYS("\0\0x"), SASL_BAD, LIT("") } }, LIT(""), LIT(""), LIT("") },
        { "PLAIN, one NUL", LIT("PLAIN"), { { SAYS("ann\0x"), SASL_BAD, LIT("") } }, LIT(""), LIT(""), LIT("") },
        { "PLAIN, NUL in the password", LIT("PLAIN"), { { SAYS("\0ann\0x\0y"), SASL_BAD, LIT("") } }, LIT("ann"), LIT(""), LIT("") },
        { "PLAIN, not UTF-8", LIT("PLAIN"), { { SAYS("\0ann\0\xff"), SASL_BAD, LIT("") } }, LIT("ann"), LIT(""), LIT("") },
        { "PLAIN, empty", LIT("PLAIN"), { { SAYS(""), SASL_BAD, LIT("") } }, LIT(""), LIT(""), LIT("") },
        { "PLAIN, silent twice", LIT("PLAIN"),
          { { SAYS_NOTHING, SASL_CHALLENGE, LIT("") }, { SAYS_NOTHING, SASL_BAD, LIT("") } }, LIT(""), LIT(""), LIT("") },
        { "LOGIN", LIT("LOGIN"),
          { { SAYS_NOTHING, SASL_CHALLENGE, LIT("Username:") }, { SAYS("ann"), SASL_CHALLENGE, LIT("Password:") },
            { SAYS("secret"), SASL_VERIFY, LIT("") } }, LIT("ann"), LIT("secret"), LIT("") },
        { "LOGIN with the name at once", LIT("login"),
          { { SAYS("ann"), SASL_CHALLENGE, LIT("Password:") }, { SAYS("secret"), SASL_VERIFY, LIT("") } },
          LIT("ann"), LIT("secret"), LIT("") },
        { "LOGIN, empty name", LIT("LOGIN"),
          { { SAYS_NOTHING, SASL_CHALLENGE, LIT("Username:") }, { SAYS(""), SASL_BAD, LIT("") } }, LIT(""), LIT(""), LIT("") },
        { "LOGIN, empty password", LIT("LOGIN"),
          { { SAYS("ann"), SASL_CHALLENGE, LIT("Password:") }, { SAYS(""), SASL_BAD, LIT("") } }, LIT("ann"), LIT(""), LIT("") },
        { "LOGIN, NUL in the name", LIT("LOGIN"), { { SAYS("a\0b"), SASL_BAD, LIT("") } }, LIT(""), LIT(""), LIT("") },
        { "LOGIN, goes on", LIT("LOGIN"),
          { { SAYS("ann"), SASL_CHALLENGE, LIT("Password:") }, { SAYS("x"), SASL_VERIFY, LIT("") }, { SAYS("y"), SASL_BAD, LIT("") } },
          LIT("ann"), LIT("x"), LIT("") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sasl_server server = { 0 };
        struct text challenge = { 0 };
        print_message("%s\n", cases[i].what);
        sasl_server_start(&server, sasl_find(cases[i].mechanism));
        for (size_t t = 0; t < COUNT(cases[i].turns) && cases[i].turns[t].response.ptr; t++) {
            const struct turn *turn = &cases[i].turns[t];
            assert_int_equal(sasl_server_step(&server, turn->has_response, turn->response, &challenge), turn->result);
            assert_true(slice_eq(text_slice(&challenge), turn->challenge));
        }
        assert_true(slice_eq(text_slice(&server.name), cases[i].name));
        assert_true(slice_eq(text_slice(&server.password), cases[i].password));
        assert_true(slice_eq(text_slice(&server.authorization), cases[i].authorization));
        sasl_server_clear(&server);
        text_free(&challenge);
    }
}

static void too_long_is_refused(void **state)
{
    (void)state;
    struct sasl_server server = { 0 };
    struct text response = { 0 }, challenge = { 0 };
    text_add(&response, SLICE("\0ann\0"));
    for (int i = 0; i < 1024; i++)
        text_add_byte(&response, 'x');
    sasl_server_start(&server, sasl_find(SLICE("PLAIN")));
    assert_int_equal(sasl_server_step(&server, true, text_slice(&response), &challenge), SASL_VERIFY);
    text_add_byte(&response, 'x');
    sasl_server_start(&server, sasl_find(SLICE("PLAIN")));
    assert_int_equal(sasl_server_step(&server, true, text_slice(&response), &challenge), SASL_BAD);
    sasl_server_clear(&server);
    text_free(&response);
    text_free(&challenge);
}

static void client_chooses(void **state)
{
    (void)state;
    static const struct {
        slice offered, chosen;
    } cases[] = {
        { LIT("LOGIN PLAIN"), LIT("PLAIN") },        { LIT("plain"), LIT("PLAIN") }, { LIT("CRAM-MD5 LOGIN"), LIT("LOGIN") },
        { LIT("XPLAIN PLAINX SCRAM-SHA-1"), LIT("") }, { LIT(""), LIT("") },          { LIT("  PLAIN  "), LIT("PLAIN") },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct sasl_mechanism *chosen = sasl_client_choose(cases[i].offered);
        assert_true(slice_eq(chosen ? chosen->name : (slice){ 0 }, cases[i].chosen));
    }
}

/* Both sides of each mechanism agree with one another. */
static void client_satisfies_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sasl_mechanism_count; i++) {
        struct sasl_client client = { &sasl_mechanisms[i], SLICE("ann@example.org"), SLICE("s3cr=t \xc3\xa9"), 0 };
        struct sasl_server server = { 0 };
        struct text challenge = { 0 }, response = { 0 };
        sasl_server_start(&server, &sasl_mechanisms[i]);
        assert_true(sasl_client_step(&client, (slice){ 0 }, &response));
        enum sasl_result result = sasl_server_step(&server, response.len > 0, text_slice(&response), &challenge);
        while (result == SASL_CHALLENGE) {
            text_clear(&response);
            assert_true(sasl_client_step(&client, text_slice(&challenge), &response));
            result = sasl_server_step(&server, true, text_slice(&response), &challenge);
        }
        assert_int_equal(result, SASL_VERIFY);
        assert_true(slice_eq(text_slice(&server.name), client.name));
        assert_true(slice_eq(text_slice(&server.password), client.password));
        assert_false(sasl_client_step(&client, SLICE("more?"), &response));
        sasl_server_clear(&server);
        text_free(&challenge);
        text_free(&response);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_dialogues),
        cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(client_chooses),
        cmocka_unit_test(client_satisfies_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
