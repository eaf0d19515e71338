#include "smtp/envelope.h"
#include "smtp/octets.h"
/*
 * The journal's form: version, flags, arrival, the texts, then the recipients. A reader of an old journal must know all
 * versions that were ever written; a new field means a new version.
 */
enum { ENVELOPE_VERSION = 1 };
enum { FLAG_SMTPUTF8 = 1, FLAG_RETURN_SHIFT = 1, FLAG_BODY_SHIFT = 3, FLAGS_MAX = 31 };
enum { NOTIFY_ALL = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, RECIPIENT_HAS_ORIGINAL = 16 };
enum { RECIPIENT_OCTETS_MIN = 4 };

static struct path copy_path(struct arena *arena, struct path p)
{
    return (struct path){ arena_copy(arena, p.local_part), arena_copy(arena, p.domain) };
}

/* The same path, octet for octet: then it is written and kept once. */
static bool is_same(struct path a, struct path b)
{
    return slice_eq(a.local_part, b.local_part) && slice_eq(a.domain, b.domain);
}

struct envelope *envelope_copy(struct arena *arena, const struct envelope *from)
{
    struct envelope *to = ARENA_NEW(arena, struct envelope);
    *to = *from;
    to->reverse_path = copy_path(arena, from->reverse_path);
    to->envelope_id = arena_copy(arena, from->envelope_id);
    to->account = arena_copy(arena, from->account);
    to->client_name = arena_copy(arena, from->client_name);
    to->client_address = arena_copy(arena, from->client_address);
    to->helo = arena_copy(arena, from->helo);
    to->listener = arena_copy(arena, from->listener);
    to->recipients = ARENA_NEW_ARRAY(arena, struct recipient, from->recipient_count);
    for (size_t i = 0; i < from->recipient_count; i++) {
        const struct recipient *old = &from->recipients[i];
        struct recipient *new = &to->recipients[i];
        new->forward_path = copy_path(arena, old->forward_path);
        new->original = is_same(old->forward_path, old->original) ? new->forward_path : copy_path(arena, old->original);
        new->original_recipient = arena_copy(arena, old->original_recipient);
        new->notify = old->notify;
    }
    return to;
}

static void add_path(struct text *to, struct path p)
{
    octets_add_slice(to, p.local_part);
    octets_add_slice(to, p.domain);
}

static void add_recipient(struct text *to, const struct recipient *r)
{
    bool has_original = !is_same(r->forward_path, r->original);
    octets_add_number(to, (r->notify & NOTIFY_ALL) | (has_original ? RECIPIENT_HAS_ORIGINAL : 0u));
    add_path(to, r->forward_path);
    if (has_original)
        add_path(to, r->original);
    octets_add_slice(to, r->original_recipient);
}

void envelope_encode(struct text *to, const struct envelope *e)
{
    text_add_byte(to, ENVELOPE_VERSION);
    octets_add_number(to, (e->smtputf8 ? FLAG_SMTPUTF8 : 0u) | (unsigned)e->dsn_return << FLAG_RETURN_SHIFT |
                              (unsigned)e->body << FLAG_BODY_SHIFT);
    octets_add_number(to, e->arrived_ms);
    add_path(to, e->reverse_path);
    octets_add_slice(to, e->envelope_id);
    octets_add_slice(to, e->account);
    octets_add_slice(to, e->client_name);
    octets_add_slice(to, e->client_address);
    octets_add_slice(to, e->helo);
    octets_add_slice(to, e->listener);
    octets_add_number(to, e->recipient_count);
    for (size_t i = 0; i < e->recipient_count; i++)
        add_recipient(to, &e->recipients[i]);
}

static bool take_path(slice *input, struct arena *arena, struct path *p)
{
    return octets_take_slice(input, arena, &p->local_part) && octets_take_slice(input, arena, &p->domain);
}

static bool take_flags(slice *input, struct envelope *e)
{
    uint64_t flags;
    if (!octets_take_number(input, FLAGS_MAX, &flags))
        return false;
    unsigned dsn_return = (unsigned)flags >> FLAG_RETURN_SHIFT & 3, body = (unsigned)flags >> FLAG_BODY_SHIFT & 3;
    e->smtputf8 = (flags & FLAG_SMTPUTF8) != 0;
    e->dsn_return = (enum dsn_return)dsn_return;
    e->body = (enum body_type)body;
    return dsn_return <= DSN_RETURN_HEADERS && body <= BODY_BINARYMIME;
}

static bool take_recipient(slice *input, struct arena *arena, struct recipient *r)
{
    uint64_t flags;
    if (!octets_take_number(input, NOTIFY_ALL | RECIPIENT_HAS_ORIGINAL, &flags) ||
        !take_path(input, arena, &r->forward_path))
        return false;
    r->notify = flags & NOTIFY_ALL;
    r->original = r->forward_path;
    if (flags & RECIPIENT_HAS_ORIGINAL && !take_path(input, arena, &r->original))
        return false;
    return octets_take_slice(input, arena, &r->original_recipient);
}

static bool take_recipients(slice *input, struct arena *arena, struct envelope *e)
{
    uint64_t count;
    /* Each needs some octets: a count that the input cannot hold does not get to allocate anything. */
    if (!octets_take_number(input, input->len / RECIPIENT_OCTETS_MIN, &count))
        return false;
    e->recipients = ARENA_NEW_ARRAY(arena, struct recipient, count);
    e->recipient_count = count;
    for (size_t i = 0; i < count; i++)
        if (!take_recipient(input, arena, &e->recipients[i]))
            return false;
    return true;
}

bool envelope_decode(struct arena *arena, slice input, struct envelope *e)
{
    *e = (struct envelope){ 0 };
    if (input.len == 0 || input.ptr[0] != ENVELOPE_VERSION)
        return false;
    input = slice_tail(input, 1);
    return take_flags(&input, e) && octets_take_number(&input, UINT64_MAX, &e->arrived_ms) &&
           take_path(&input, arena, &e->reverse_path) && octets_take_slice(&input, arena, &e->envelope_id) &&
           octets_take_slice(&input, arena, &e->account) && octets_take_slice(&input, arena, &e->client_name) &&
           octets_take_slice(&input, arena, &e->client_address) && octets_take_slice(&input, arena, &e->helo) &&
           octets_take_slice(&input, arena, &e->listener) && take_recipients(&input, arena, e) && input.len == 0;
}
