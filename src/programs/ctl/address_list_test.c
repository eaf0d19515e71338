#include "programs/ctl/address_list.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void finds_mailboxes(void **state)
{
    (void)state;
    static const struct {
        slice list;
        const char *found; /* separated by '|' */
    } cases[] = {
        { LIT("ann@example.org"), "ann@example.org" },
        { LIT("Ann <ann@example.org>, bob@example.org"), "ann@example.org|bob@example.org" },
        { LIT("\"Doe, Jane\" <jane@example.org>"), "jane@example.org" },
        { LIT("root"), "root" },
        { LIT("friends: ann@example.org, Bob <bob@example.org>;, c@example.org"),
          "ann@example.org|bob@example.org|c@example.org" },
        { LIT("undisclosed-recipients:;"), "" },
        { LIT("ann@example.org (Ann (the one) Smith)"), "ann@example.org" },
        { LIT("(x, y) ann@example.org"), "ann@example.org" },
        { LIT("<@relay.example,@other.example:ann@example.org>"), "ann@example.org" },
        { LIT("\"a b\"@example.org"), "\"a b\"@example.org" },
        { LIT("\"a,b\\\"c\"@example.org, x@y.org"), "\"a,b\\\"c\"@example.org|x@y.org" },
        { LIT("ann@[IPv6:2001:db8::1]"), "ann@[IPv6:2001:db8::1]" },
        { LIT("ann @ example . org"), "ann@example.org" },
        { LIT(" ,, ,\r\n\t;"), "" },
        { LIT("Ann <ann@example.org> trailing words, b@c.org"), "ann@example.org|b@c.org" },
        { LIT("Ann <ann@example.org"), "ann@example.org" },
        { LIT("\"never closed <ann@example.org>, b@c.org"), "\"never closed <ann@example.org>, b@c.org" },
        { LIT("(never closed ann@example.org"), "" },
        { LIT("two words"), "two words" },
        { LIT("two (comment) words@example.org , x"), "two words@example.org|x" },
        { LIT("< ann@example.org >"), "ann@example.org" },
        { LIT("<>"), "" },
        { LIT("<>, ann@example.org"), "ann@example.org" },
        { LIT(")\\"), ")\\" },
        { LIT(""), "" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text found = { 0 };
        slice rest = cases[i].list;
        while (address_list_next(&rest, &found))
            text_add_byte(&found, '|');
        if (found.len)
            found.len--;
        assert_string_equal(text_cstr(&found), cases[i].found);
        text_free(&found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(finds_mailboxes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
