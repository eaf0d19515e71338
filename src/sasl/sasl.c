#include "sasl/sasl.h"
#include "base/memory.h"

/*
 * One row a mechanism: the server's and the client's next step. A step knows its place by `step`, which the caller of
 * the row has counted up already: 1 at the first call.
 */
enum { SASL_VALUE_MAX = 1024 };

struct mechanism_steps {
    enum sasl_result (*server)(struct sasl_server *, bool has_response, slice response, struct text *challenge);
    bool (*client)(struct sasl_client *, slice challenge, struct text *response);
};

/* Octets that no name and no password may hold. RFC 4616 §2: every UTF-8 character but NUL. */
static bool is_acceptable(slice value)
{
    return value.len <= SASL_VALUE_MAX && slice_is_utf8(value) && slice_find_byte(value, '\0') == SLICE_NOT_FOUND;
}

static bool take_value(struct text *to, slice value)
{
    if (!is_acceptable(value))
        return false;
    text_add(to, value);
    return true;
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd (RFC 4616 §2) */
static enum sasl_result plain_server(struct sasl_server *s, bool has_response, slice response, struct text *challenge)
{
    (void)challenge;
    if (!has_response)
        return SASL_CHALLENGE; /* the empty one: RFC 4954 §4 */
    slice authorization, name;
    bool has_name, has_password;
    if (s->name.len)
        return SASL_BAD;
    slice rest = slice_cut(response, '\0', &authorization, &has_name);
    slice password = slice_cut(rest, '\0', &name, &has_password);
    if (!has_name || !has_password || name.len == 0 || password.len == 0)
        return SASL_BAD;
    /* Acting for someone else is not offered: the identity asked for must be the one that signs in. */
    if (authorization.len && !slice_eq(authorization, name))
        return SASL_BAD;
    return take_value(&s->authorization, authorization) && take_value(&s->name, name) &&
                   take_value(&s->password, password)
               ? SASL_VERIFY
               : SASL_BAD;
}

static bool plain_client(struct sasl_client *c, slice challenge, struct text *response)
{
    (void)challenge;
    if (c->step != 1)
        return false;
    text_add_byte(response, '\0');
    text_add(response, c->name);
    text_add_byte(response, '\0');
    text_add(response, c->password);
    return true;
}

/* LOGIN has no RFC. The prompts are those that every client knows; an initial response is the name (Outlook sends it).
 */
static enum sasl_result login_server(struct sasl_server *s, bool has_response, slice response, struct text *challenge)
{
    if (!has_response) {
        text_add(challenge, SLICE("Username:"));
        return SASL_CHALLENGE;
    }
    if (response.len == 0)
        return SASL_BAD;
    if (s->name.len)
        return s->password.len == 0 && take_value(&s->password, response) ? SASL_VERIFY : SASL_BAD;
    if (!take_value(&s->name, response))
        return SASL_BAD;
    text_add(challenge, SLICE("Password:"));
    return SASL_CHALLENGE;
}

/* The first step gives nothing and waits for the prompt: some servers misread an initial response of LOGIN. */
static bool login_client(struct sasl_client *c, slice challenge, struct text *response)
{
    (void)challenge; /* "Username:" in many spellings and languages: only the order counts */
    if (c->step > 3)
        return false;
    if (c->step > 1)
        text_add(response, c->step == 2 ? c->name : c->password);
    return true;
}

/* The better one first: sasl_client_choose takes the first that is offered. */
const struct sasl_mechanism sasl_mechanisms[] = {
    { LIT("PLAIN"), true },
    { LIT("LOGIN"), true },
};
const size_t sasl_mechanism_count = COUNT(sasl_mechanisms);
static const struct mechanism_steps steps[] = {
    { plain_server, plain_client },
    { login_server, login_client },
};
_Static_assert(COUNT(steps) == COUNT(sasl_mechanisms), "every mechanism has its steps");

static const struct mechanism_steps *steps_of(const struct sasl_mechanism *m) { return &steps[m - sasl_mechanisms]; }

const struct sasl_mechanism *sasl_find(slice name)
{
    for (size_t i = 0; i < COUNT(sasl_mechanisms); i++)
        if (slice_eq_nocase(name, sasl_mechanisms[i].name))
            return &sasl_mechanisms[i];
    return NULL;
}

void sasl_server_start(struct sasl_server *s, const struct sasl_mechanism *mechanism)
{
    sasl_server_clear(s);
    s->mechanism = mechanism;
}

enum sasl_result sasl_server_step(struct sasl_server *s, bool has_response, slice response, struct text *challenge)
{
    text_clear(challenge);
    bool is_first = s->step++ == 0;
    if (!has_response && !is_first)
        return SASL_BAD;
    return steps_of(s->mechanism)->server(s, has_response, response, challenge);
}

static void wipe(struct text *t)
{
    if (t->ptr)
        memory_wipe(t->ptr, t->capacity);
    text_free(t);
}

void sasl_server_clear(struct sasl_server *s)
{
    wipe(&s->name);
    wipe(&s->password);
    wipe(&s->authorization);
    *s = (struct sasl_server){ 0 };
}

static bool is_offered(slice offered, slice name)
{
    bool more = true;
    while (more) {
        slice word;
        offered = slice_cut(offered, ' ', &word, &more);
        if (slice_eq_nocase(word, name))
            return true;
    }
    return false;
}

const struct sasl_mechanism *sasl_client_choose(slice offered)
{
    for (size_t i = 0; i < COUNT(sasl_mechanisms); i++)
        if (is_offered(offered, sasl_mechanisms[i].name))
            return &sasl_mechanisms[i];
    return NULL;
}

bool sasl_client_step(struct sasl_client *c, slice challenge, struct text *response)
{
    c->step++;
    return steps_of(c->mechanism)->client(c, challenge, response);
}
