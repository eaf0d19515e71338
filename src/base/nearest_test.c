#include "base/nearest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void finds_what_was_meant(void **state)
{
    (void)state;
    static const struct {
        const char *word, *expected;
    } cases[] = {
        { "serev", "; did you mean serve?" },
        { "lst", "; did you mean list?" },
        { "LIST", "; did you mean list?" },
        { "relase", "; did you mean release?" },
        { "bogs", "" },
        { "", "" },
        { "sendmial", "; did you mean sendmail?" },
        { "completely different", "" },
        { "listlistlistlistlistlistlistlistlistlistlistlistlistlistlistlistlist", "" },
    };
    static const char *const known[] = { "serve", "list", "release", "dns", "sendmail" };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct nearest nearest = nearest_start(slice_from_cstr(cases[i].word));
        struct text text = { 0 };
        for (size_t k = 0; k < COUNT(known); k++)
            nearest_offer(&nearest, slice_from_cstr(known[k]));
        text_add_nearest(&text, &nearest);
        if (!slice_eq(text_slice(&text), slice_from_cstr(cases[i].expected)))
            fail_msg("%s: %s", cases[i].word, text_cstr(&text));
        text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(finds_what_was_meant) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
