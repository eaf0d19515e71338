#include "receive/sign_in.h"
#include "base/base64.h"
#include "base/memory.h"
#include "receive/trace.h"
#include "receive/verbs.h"
#include "sasl/sasl.h"

enum { FAILED_SIGN_INS_MAX = 3, FIRST_DELAY_MS = 1000 };

struct sign_in {
    struct sasl_server sasl;
    void *request;      /* at keyring; NULL: none */
    struct timer delay; /* before a failure is told */
};

void sign_in_end(struct session *s)
{
    struct sign_in *sign_in = s->sign_in;
    if (!sign_in)
        return;
    const struct receive_doors *doors = &s->receiver->doors;
    if (sign_in->request)
        doors->cancel_verify(doors->keyring, sign_in->request);
    timer_clear(doors->loop, &sign_in->delay);
    sasl_server_clear(&sign_in->sasl);
    memory_free(sign_in);
    s->sign_in = NULL;
    s->input = INPUT_COMMANDS;
}

static void refuse(struct session *s, enum reply_name reply)
{
    sign_in_end(s);
    session_reply(s, reply);
}

/* The wait is over: 1 s after the first failure, 2 s after the second; then the client has to come again. */
static void tell_failure(void *context)
{
    struct session *s = context;
    sign_in_end(s);
    if (s->failed_sign_ins >= FAILED_SIGN_INS_MAX)
        session_end_with(s, REPLY_TOO_MANY_SIGN_INS, "too many failed sign-ins");
    else
        session_reply(s, REPLY_AUTH_FAILED);
    session_continue(s);
}

/* One text for a wrong password and for a name that does not exist; keyring takes the same time for both. */
static void fail(struct session *s, slice name)
{
    struct sign_in *sign_in = s->sign_in;
    trace_sign_in_failed(s, name, sign_in->sasl.mechanism->name, "name or password is wrong");
    uint64_t delay = (uint64_t)FIRST_DELAY_MS << s->failed_sign_ins++;
    timer_set(s->receiver->doors.loop, &sign_in->delay, delay, tell_failure, s);
}

static void on_answer(void *context, bool ok, bool temporary, slice account)
{
    struct session *s = context;
    struct sign_in *sign_in = s->sign_in;
    sign_in->request = NULL;
    if (!ok && !temporary) {
        fail(s, text_slice(&sign_in->sasl.name));
        return; /* the session goes on waiting */
    }
    slice mechanism = sign_in->sasl.mechanism->name;
    if (ok) {
        text_clear(&s->account);
        text_add(&s->account, account);
        s->failed_sign_ins = 0;
        trace_sign_in_succeeded(s, mechanism);
        sign_in_end(s);
        session_reply(s, REPLY_SIGNED_IN);
    } else {
        trace_sign_in_failed(s, text_slice(&sign_in->sasl.name), mechanism, "the password could not be checked");
        refuse(s, REPLY_AUTH_TEMPORARY);
    }
    session_continue(s);
}

static void verify(struct session *s)
{
    struct sign_in *sign_in = s->sign_in;
    const struct receive_doors *doors = &s->receiver->doors;
    s->input = INPUT_COMMANDS;
    session_set_wait(s, WAIT_PASSWORD);
    sign_in->request = doors->verify_password(doors->keyring, text_slice(&sign_in->sasl.name),
                                              text_slice(&sign_in->sasl.password), on_answer, s);
}

static void challenge(struct session *s, slice words)
{
    struct text *out = &s->receiver->scratch;
    text_add_cstr(out, "334 ");
    base64_encode(out, words);
    text_add_cstr(out, "\r\n");
    session_write(s, text_slice(out));
    text_clear(out);
    s->input = INPUT_AUTH;
}

static void step(struct session *s, bool has_response, slice response)
{
    struct text words = { 0 };
    switch (sasl_server_step(&s->sign_in->sasl, has_response, response, &words)) {
    case SASL_CHALLENGE:
        challenge(s, text_slice(&words));
        break;
    case SASL_VERIFY:
        verify(s);
        break;
    case SASL_BAD:
        refuse(s, REPLY_AUTH_BAD_RESPONSE);
        break;
    }
    text_free(&words);
}

static void step_encoded(struct session *s, slice encoded)
{
    struct text response = { 0 };
    if (base64_decode(&response, encoded))
        step(s, true, text_slice(&response));
    else
        refuse(s, REPLY_AUTH_BAD_BASE64);
    if (response.ptr)
        memory_wipe(response.ptr, response.capacity);
    text_free(&response);
}

void sign_in_take_response(struct session *s, slice line, bool is_too_long)
{
    if (is_too_long)
        refuse(s, REPLY_AUTH_LINE_TOO_LONG);
    else if (slice_eq(line, SLICE("*"))) /* RFC 4954 §4 */
        refuse(s, REPLY_AUTH_CANCELLED);
    else
        step_encoded(s, line);
}

/* REPLY_OK: the exchange may begin. */
static enum reply_name check(const struct session *s, const struct sasl_mechanism *mechanism)
{
    if (!s->listener->role->offers_sign_in)
        return REPLY_AUTH_NOT_OFFERED;
    if (!s->is_extended)
        return REPLY_AUTH_NEEDS_EHLO;
    if (s->account.len > 0)
        return REPLY_AUTH_ALREADY;
    if (!mechanism)
        return REPLY_AUTH_UNKNOWN;
    if (mechanism->needs_encryption && !s->tls_is_on)
        return REPLY_AUTH_NEEDS_TLS;
    return REPLY_OK;
}

void verb_auth(struct session *s, slice argument)
{
    slice name, initial;
    bool has_initial;
    initial = slice_trim(slice_cut(argument, ' ', &name, &has_initial));
    const struct sasl_mechanism *mechanism = sasl_find(name);
    enum reply_name reply = check(s, mechanism);
    if (reply != REPLY_OK) {
        session_reply(s, reply);
        return;
    }
    s->sign_in = MEMORY_NEW(struct sign_in);
    sasl_server_start(&s->sign_in->sasl, mechanism);
    if (!has_initial)
        step(s, false, (slice){ 0 });
    else if (slice_eq(initial, SLICE("="))) /* an initial response that is empty */
        step(s, true, (slice){ 0 });
    else
        step_encoded(s, initial);
}
