#include "base/json.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void writes_strings(void **state)
{
    (void)state;
    static const struct {
        slice value, json;
    } cases[] = {
        { LIT(""), LIT("\"\"") },
        { LIT("plain"), LIT("\"plain\"") },
        { LIT("a\"b\\c/"), LIT("\"a\\\"b\\\\c/\"") },
        { LIT("\r\n\t"), LIT("\"\\r\\n\\t\"") },
        { LIT("\0\x1f\x7f"), LIT("\"\\u0000\\u001f\\u007f\"") },
        { LIT("gr\xC3\xBC\xC3\x9F"), LIT("\"gr\xC3\xBC\xC3\x9F\"") },
        { LIT("\xF0\x9F\x93\xAC"), LIT("\"\xF0\x9F\x93\xAC\"") },
        { LIT("gr\xFC!"), LIT("\"gr\xEF\xBF\xBD!\"") },
        { LIT("\xE2\x82"), LIT("\"\xEF\xBF\xBD\xEF\xBF\xBD\"") },
        { LIT("\xE2\x80\xA8"), LIT("\"\xE2\x80\xA8\"") },
    };
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        text_clear(&t);
        json_add_string(&t, cases[i].value);
        assert_true(slice_eq(text_slice(&t), cases[i].json));
    }
    text_free(&t);
}

static void writes_fields(void **state)
{
    (void)state;
    struct text t = { 0 };
    text_add_byte(&t, '{');
    json_add_field_string(&t, SLICE("a"), SLICE("{"));
    json_add_field_u64(&t, SLICE("b"), 7);
    json_add_field_bool(&t, SLICE("c"), true);
    json_add_name(&t, SLICE("d"));
    text_add_byte(&t, '[');
    text_add_byte(&t, '{');
    json_add_field_bool(&t, SLICE("e"), false);
    text_add_cstr(&t, "}]}");
    assert_string_equal(text_cstr(&t), "{\"a\":\"{\",\"b\":7,\"c\":true,\"d\":[{\"e\":false}]}");
    text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(writes_strings), cmocka_unit_test(writes_fields) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
