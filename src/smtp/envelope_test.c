#include "smtp/envelope.h"
#include "smtp/octets.h"
#include "smtp/outcome.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct recipient recipients[] = {
    { { LIT("ann"), LIT("example.org") }, { LIT("ann"), LIT("example.org") }, LIT(""), 0 },
    { { LIT("bob"), LIT("b.org") }, { LIT("info"), LIT("example.org") }, LIT("rfc822;info@example.org"), NOTIFY_FAILURE | NOTIFY_DELAY },
};
static const struct envelope sample = {
    .reverse_path = { LIT("from"), LIT("c.org") }, .body = BODY_8BITMIME, .smtputf8 = true, .dsn_return = DSN_RETURN_HEADERS,
    .envelope_id = LIT("id\0x"), .account = LIT("from@c.org"), .client_name = LIT("client.c.org"), .client_address = LIT("192.0.2.1"),
    .helo = LIT("me"), .listener = LIT("submission"), .arrived_ms = 1764091669000, .recipients = recipients, .recipient_count = 2,
};

static bool same_path(struct path a, struct path b) { return slice_eq(a.local_part, b.local_part) && slice_eq(a.domain, b.domain); }

static void assert_same(const struct envelope *a, const struct envelope *b)
{
    assert_true(same_path(a->reverse_path, b->reverse_path));
    assert_int_equal(a->body, b->body);
    assert_int_equal(a->smtputf8, b->smtputf8);
    assert_int_equal(a->dsn_return, b->dsn_return);
    assert_true(slice_eq(a->envelope_id, b->envelope_id));
    assert_true(slice_eq(a->account, b->account));
    assert_true(slice_eq(a->client_name, b->client_name));
    assert_true(slice_eq(a->client_address, b->client_address));
    assert_true(slice_eq(a->helo, b->helo));
    assert_true(slice_eq(a->listener, b->listener));
    assert_true(a->arrived_ms == b->arrived_ms);
    assert_int_equal(a->recipient_count, b->recipient_count);
    for (size_t i = 0; i < a->recipient_count; i++) {
        assert_true(same_path(a->recipients[i].forward_path, b->recipients[i].forward_path));
        assert_true(same_path(a->recipients[i].original, b->recipients[i].original));
        assert_true(slice_eq(a->recipients[i].original_recipient, b->recipients[i].original_recipient));
        assert_int_equal(a->recipients[i].notify, b->recipients[i].notify);
    }
}

static void envelope_there_and_back(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct text text = { 0 };
    struct envelope back;
    envelope_encode(&text, &sample);
    assert_true(envelope_decode(&arena, text_slice(&text), &back));
    memset(text.ptr, 'x', text.len); /* nothing may still point there */
    assert_same(&back, &sample);
    struct arena other = { 0 };
    struct envelope *copy = envelope_copy(&other, &back);
    arena_free(&arena);
    assert_same(copy, &sample);

    text_clear(&text);
    envelope_encode(&text, &(struct envelope){ 0 });
    assert_true(envelope_decode(&arena, text_slice(&text), &back));
    assert_same(&back, &(struct envelope){ 0 });
    arena_free(&other);
    arena_free(&arena);
    text_free(&text);
}

/* A record cut anywhere, or with something behind it, is refused; one with a bit changed does no harm. */
static void damaged_envelopes(void **state)
{
    (void)state;
    struct text text = { 0 };
    envelope_encode(&text, &sample);
    for (size_t length = 0; length < text.len; length++) {
        struct arena arena = { 0 };
        struct envelope back;
        assert_false(envelope_decode(&arena, slice_head(text_slice(&text), length), &back));
        arena_free(&arena);
    }
    for (size_t bit = 0; bit < text.len * 8; bit++) {
        struct arena arena = { 0 };
        struct envelope back;
        text.ptr[bit / 8] ^= (char)(1 << bit % 8);
        if (envelope_decode(&arena, text_slice(&text), &back))
            assert_true(back.recipient_count <= text.len);
        text.ptr[bit / 8] ^= (char)(1 << bit % 8);
        arena_free(&arena);
    }
    struct arena arena = { 0 };
    struct envelope back;
    text_add_byte(&text, 0);
    assert_false(envelope_decode(&arena, text_slice(&text), &back));
    text.ptr[0] = 2; /* a version to come */
    text.len--;
    assert_false(envelope_decode(&arena, text_slice(&text), &back));
    arena_free(&arena);
    text_free(&text);
}

static const struct outcome sample_outcome = {
    .action = ACTION_FAILED, .stage = STAGE_RCPT, .status = { 5, 1, 999 }, .status_was_told = true, .reply_code = 550,
    .text = LIT("no\nsuch user"), .remote_name = LIT("mx.b.org"), .remote_address = LIT("192.0.2.1:25"), .tls = LIT("TLSv1.3 X"), .expired = true,
};

static void outcome_there_and_back(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct text text = { 0 };
    outcome_encode(&text, &sample_outcome);
    size_t length = text.len;
    outcome_encode(&text, &(struct outcome){ 0 });
    slice input = text_slice(&text);
    struct outcome first, second;
    assert_true(outcome_decode(&arena, &input, &first));
    assert_int_equal(input.len, text.len - length);
    assert_true(outcome_decode(&arena, &input, &second));
    assert_int_equal(input.len, 0);
    assert_int_equal(second.action, ACTION_NONE);
    assert_int_equal(second.text.len, 0);

    struct outcome copy;
    struct arena other = { 0 };
    outcome_copy(&other, &copy, &first);
    arena_free(&arena);
    text_free(&text);
    assert_int_equal(copy.action, ACTION_FAILED);
    assert_int_equal(copy.stage, STAGE_RCPT);
    assert_true(status_is(copy.status, 5, 1, 999));
    assert_true(copy.status_was_told && copy.expired);
    assert_int_equal(copy.reply_code, 550);
    assert_true(slice_eq(copy.text, sample_outcome.text));
    assert_true(slice_eq(copy.remote_name, sample_outcome.remote_name));
    assert_true(slice_eq(copy.remote_address, sample_outcome.remote_address));
    assert_true(slice_eq(copy.tls, sample_outcome.tls));
    arena_free(&other);
}

static void damaged_outcomes(void **state)
{
    (void)state;
    struct text text = { 0 };
    struct outcome back;
    outcome_encode(&text, &sample_outcome);
    for (size_t length = 0; length < text.len; length++) {
        struct arena arena = { 0 };
        slice input = slice_head(text_slice(&text), length);
        assert_false(outcome_decode(&arena, &input, &back));
        arena_free(&arena);
    }
    static const slice bad[] = {
        LIT("\1\x18\0\0\0\0\0\0\0\0\0"), /* action past the last */
        LIT("\1\0\x0e\0\0\0\0\0\0\0\0"), /* stage past the last */
        LIT("\1\0\0\3\0\0\0\0\0\0\0"),   /* class 3 */
        LIT("\1\0\0\0\xe8\7\0\0\0\0\0\0"), /* subject 1000 */
        LIT("\1\x80\0\0\0\0\0\0\0\0\0\0"), /* a number longer than needed */
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct arena arena = { 0 };
        slice input = bad[i];
        assert_false(outcome_decode(&arena, &input, &back));
        arena_free(&arena);
    }
    text_free(&text);
}

static void numbers(void **state)
{
    (void)state;
    static const uint64_t some[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX };
    for (size_t i = 0; i < COUNT(some); i++) {
        struct text text = { 0 };
        uint64_t back = 0;
        octets_add_number(&text, some[i]);
        slice input = text_slice(&text);
        if (some[i])
            assert_false(octets_take_number(&input, some[i] - 1, &back));
        assert_true(octets_take_number(&input, some[i], &back));
        assert_true(back == some[i] && input.len == 0);
        text_free(&text);
    }
    slice too_large = SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), endless = SLICE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1");
    uint64_t back;
    assert_false(octets_take_number(&too_large, UINT64_MAX, &back));
    assert_false(octets_take_number(&endless, UINT64_MAX, &back));
}

static void names(void **state)
{
    (void)state;
    for (int i = STAGE_NONE; i <= STAGE_POLICY; i++)
        assert_non_null(delivery_stage_name((enum delivery_stage)i));
    assert_string_equal(delivery_stage_name(STAGE_RCPT), "rcpt");
    assert_string_equal(action_name(ACTION_RELAYED), "relayed");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelope_there_and_back), cmocka_unit_test(damaged_envelopes), cmocka_unit_test(outcome_there_and_back),
        cmocka_unit_test(damaged_outcomes),        cmocka_unit_test(numbers),           cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
