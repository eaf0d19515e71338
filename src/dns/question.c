#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "dns/inside.h"
#include <stdlib.h>
/*
 * question - what the callers ask, made of one or more queries:
 *
 *     mx         MX --> answer; no such records --> AAAA and A of the domain itself (RFC 5321 §5.1)
 *     addresses  AAAA and A together
 *     name       PTR --> AAAA or A of each name until one leads back to the address
 */
enum {
    MX_MAX = 50,
    ADDRESSES_MAX = 32,
    PTR_NAMES_MAX = 4, /* each costs a query, and the owner of the address chooses their number */
    WHY_BOGUS_MAX = 200,
};

enum slot { SLOT_V6, SLOT_V4, SLOTS };
enum { SLOT_FIRST = SLOT_V6 }; /* for a question that needs one query at a time */

struct dns_question {
    struct dns *dns;
    struct loop *loop;
    dns_answered *answered;
    void *context;
    struct timer timer;
    struct name name;
    struct query *queries[SLOTS];
    struct dns_answer answer;
    enum dns_result results[SLOTS]; /* of AAAA and A */
    bool secure[SLOTS];
    struct address *found[SLOTS]; /* in the answer's memory: v6 and v4 apart until both are there */
    size_t found_count[SLOTS];
    struct address address; /* ask_name: to be led back to */
    slice ptr_names[PTR_NAMES_MAX];
    size_t ptr_count, ptr_next;
    bool is_mx;
};

/* answering ----------------------------------------------------------------------------------------------------- */

static void free_question(struct dns_question *q)
{
    timer_clear(q->loop, &q->timer);
    for (size_t i = 0; i < SLOTS; i++)
        query_forget(q->queries[i]);
    arena_free(&q->answer.memory);
    memory_free(q);
}

static const char *default_text(enum dns_result result)
{
    static const char *const texts[] = {
        [DNS_OK] = "",
        [DNS_NO_DATA] = "no such record",
        [DNS_NO_NAME] = "does not exist (NXDOMAIN)",
        [DNS_TEMPORARY] = "the name server did not answer",
        [DNS_BOGUS] = "the answer is forged or badly signed (DNSSEC)",
        [DNS_BAD_NAME] = "not a valid domain name",
    };
    return texts[result];
}

static void finish(struct dns_question *q, enum dns_result result)
{
    q->answer.result = result;
    if (!q->answer.text)
        q->answer.text = default_text(result);
    q->answered(q->context, &q->answer);
    free_question(q);
}

static void say(struct dns_question *q, slice text) { q->answer.text = arena_cstr(&q->answer.memory, text); }

/* "example.org: does not exist (NXDOMAIN)" */
static void fail(struct dns_question *q, enum dns_result result)
{
    if (!q->answer.text)
        say(q, arena_format(&q->answer.memory, "%s: %s", q->name.text, default_text(result)));
    finish(q, result);
}

static void on_timeout(void *context)
{
    struct dns_question *q = context;
    say(q, arena_format(&q->answer.memory, "%s: no answer from the name servers within %u seconds", q->name.text,
                        (q->dns->timeout_ms + 999) / 1000));
    finish(q, DNS_TEMPORARY);
}

/* one result of libunbound -------------------------------------------------------------------------------------- */

static enum dns_result judge(struct dns_question *q, const struct query *query)
{
    const struct ub_result *r = query->result;
    if (query->error || !r) {
        say(q, arena_format(&q->answer.memory, "%s: the resolver failed: %s", q->name.text, ub_strerror(query->error)));
        return DNS_TEMPORARY;
    }
    if (r->bogus) {
        slice why = slice_head(slice_from_cstr(r->why_bogus), WHY_BOGUS_MAX);
        say(q,
            arena_format(&q->answer.memory, "%s: DNSSEC validation failed: " SLICE_FMT, q->name.text, SLICE_ARG(why)));
        return DNS_BOGUS;
    }
    if (r->havedata)
        return DNS_OK;
    if (r->nxdomain || r->rcode == RCODE_NXDOMAIN)
        return DNS_NO_NAME;
    if (r->rcode == RCODE_NOERROR)
        return DNS_NO_DATA;
    const char *what = r->rcode == RCODE_SERVFAIL  ? "its name servers failed or did not answer (SERVFAIL)"
                       : r->rcode == RCODE_REFUSED ? "the name server refused to answer (REFUSED)"
                                                   : "the name server answered with an error";
    say(q, arena_format(&q->answer.memory, "%s: %s", q->name.text, what));
    return DNS_TEMPORARY;
}

static void note_ttl(struct dns_question *q, const struct query *query, bool is_first)
{
    uint32_t ttl = query->result && query->result->ttl > 0 ? (uint32_t)query->result->ttl : 0;
    if (is_first || ttl < q->answer.ttl_s)
        q->answer.ttl_s = ttl;
}

static slice rdata_at(const struct ub_result *r, size_t i)
{
    return r->len[i] > 0 ? slice_from(r->data[i], (size_t)r->len[i]) : (slice){ 0 };
}

/* addresses ----------------------------------------------------------------------------------------------------- */

static void keep_addresses(struct dns_question *q, size_t slot, const struct ub_result *r)
{
    struct address *addresses = ARENA_NEW_ARRAY(&q->answer.memory, struct address, ADDRESSES_MAX);
    size_t count = 0;
    for (size_t i = 0; r->data[i] && count < ADDRESSES_MAX; i++)
        if (address_data_parse(rdata_at(r, i), &addresses[count]) &&
            address_is_v6(&addresses[count]) == (slot == SLOT_V6))
            count++;
    q->found[slot] = addresses;
    q->found_count[slot] = count;
}

/* v6 first, then in turn: a host whose one family does not work costs one attempt, not all of them. */
static void interleave(struct dns_question *q)
{
    struct dns_answer *a = &q->answer;
    a->addresses = ARENA_NEW_ARRAY(&a->memory, struct address, ADDRESSES_MAX);
    for (size_t i = 0; i < ADDRESSES_MAX; i++)
        for (size_t slot = 0; slot < SLOTS; slot++)
            if (i < q->found_count[slot] && a->address_count < ADDRESSES_MAX)
                a->addresses[a->address_count++] = q->found[slot][i];
}

static void answer_implicit_mx(struct dns_question *q)
{
    struct dns_answer *a = &q->answer;
    a->mx = ARENA_NEW(&a->memory, struct dns_mx);
    a->mx->host = name_slice(&q->name);
    a->mx_count = 1;
}

/* The worse of the two when neither found anything: only when both are sure is the absence certain. */
static enum dns_result worse(const enum dns_result results[SLOTS])
{
    static const enum dns_result order[] = { DNS_BOGUS, DNS_TEMPORARY, DNS_NO_NAME };
    for (size_t i = 0; i < COUNT(order); i++)
        if (results[SLOT_V6] == order[i] || results[SLOT_V4] == order[i])
            return order[i];
    return DNS_NO_DATA;
}

static void addresses_complete(struct dns_question *q)
{
    interleave(q);
    q->answer.is_secure = q->secure[SLOT_V6] && q->secure[SLOT_V4];
    if (q->answer.address_count) {
        q->answer.text = NULL; /* of the other family's failure */
        if (q->is_mx)
            answer_implicit_mx(q);
        finish(q, DNS_OK);
        return;
    }
    enum dns_result result = worse(q->results);
    if (result == DNS_NO_DATA)
        say(q, arena_format(&q->answer.memory,
                            q->is_mx ? "%s: has neither mail exchangers (MX) nor addresses"
                                     : "%s: has no addresses (A or AAAA)",
                            q->name.text));
    fail(q, result);
}

static void on_address(void *context, struct query *query)
{
    struct dns_question *q = context;
    size_t slot = query->type == TYPE_AAAA ? SLOT_V6 : SLOT_V4, other = slot == SLOT_V6 ? SLOT_V4 : SLOT_V6;
    q->queries[slot] = NULL;
    q->results[slot] = judge(q, query);
    q->secure[slot] = query->result && query->result->secure;
    if (q->results[slot] == DNS_OK) {
        note_ttl(q, query, q->found_count[other] == 0);
        keep_addresses(q, slot, query->result);
    }
    if (!q->queries[other])
        addresses_complete(q);
}

static void ask_both(struct dns_question *q)
{
    q->queries[SLOT_V6] = query_start(q->dns, q->loop, &q->name, TYPE_AAAA, on_address, q);
    q->queries[SLOT_V4] = query_start(q->dns, q->loop, &q->name, TYPE_A, on_address, q);
}

/* mx ------------------------------------------------------------------------------------------------------------ */

struct shuffled_mx {
    struct dns_mx mx;
    uint64_t luck;
};

static int compare_mx(const void *a, const void *b)
{
    const struct shuffled_mx *left = a, *right = b;
    if (left->mx.preference != right->mx.preference)
        return left->mx.preference < right->mx.preference ? -1 : 1;
    return left->luck < right->luck ? -1 : left->luck > right->luck;
}

static size_t count_records(const struct ub_result *r)
{
    size_t count = 0;
    while (r->data[count])
        count++;
    return count;
}

/* All usable records, then the best MX_MAX of them. A root host stands for "no mail" only where it is alone
 * (RFC 7505 §3). */
static void keep_mx(struct dns_question *q, const struct ub_result *r)
{
    struct dns_answer *a = &q->answer;
    size_t records = count_records(r), count = 0;
    struct shuffled_mx *all = ARENA_NEW_ARRAY(&a->memory, struct shuffled_mx, records);
    struct mx_data data;
    for (size_t i = 0; i < records; i++) {
        if (!mx_data_parse(rdata_at(r, i), &data))
            continue;
        if (data.host.len == 0) {
            a->mx_is_null = records == 1;
            continue;
        }
        all[count].mx = (struct dns_mx){ data.preference, arena_copy(&a->memory, name_slice(&data.host)) };
        all[count++].luck = random_u64();
    }
    qsort(all, count, sizeof *all, compare_mx);
    a->mx_count = size_min(count, MX_MAX);
    a->mx = ARENA_NEW_ARRAY(&a->memory, struct dns_mx, a->mx_count);
    for (size_t i = 0; i < a->mx_count; i++)
        a->mx[i] = all[i].mx;
}

static void on_mx(void *context, struct query *query)
{
    struct dns_question *q = context;
    q->queries[SLOT_FIRST] = NULL;
    enum dns_result result = judge(q, query);
    if (result == DNS_NO_DATA) {
        ask_both(q);
        return;
    }
    if (result != DNS_OK) {
        fail(q, result);
        return;
    }
    note_ttl(q, query, true);
    q->answer.is_secure = query->result->secure;
    keep_mx(q, query->result);
    if (q->answer.mx_count || q->answer.mx_is_null) {
        finish(q, DNS_OK);
        return;
    }
    say(q, arena_format(&q->answer.memory, "%s: its mail exchangers (MX) are not valid host names", q->name.text));
    finish(q, DNS_NO_DATA);
}

/* name ---------------------------------------------------------------------------------------------------------- */

static void try_next_name(struct dns_question *q);

static void on_forward(void *context, struct query *query)
{
    struct dns_question *q = context;
    q->queries[SLOT_FIRST] = NULL;
    bool leads_back = false;
    struct address address;
    if (judge(q, query) == DNS_OK)
        for (size_t i = 0; query->result->data[i] && !leads_back; i++)
            leads_back = address_data_parse(rdata_at(query->result, i), &address) && address_eq(&address, &q->address);
    if (!leads_back) {
        q->ptr_next++;
        try_next_name(q);
        return;
    }
    struct dns_answer *a = &q->answer;
    note_ttl(q, query, false);
    a->text = NULL;
    a->is_secure = a->is_secure && query->result->secure;
    a->mx = ARENA_NEW(&a->memory, struct dns_mx);
    a->mx->host = q->ptr_names[q->ptr_next];
    a->mx_count = 1;
    finish(q, DNS_OK);
}

static void try_next_name(struct dns_question *q)
{
    if (q->ptr_next < q->ptr_count && name_from_text(q->ptr_names[q->ptr_next], &q->name)) {
        int type = address_is_v6(&q->address) ? TYPE_AAAA : TYPE_A;
        q->queries[SLOT_FIRST] = query_start(q->dns, q->loop, &q->name, type, on_forward, q);
        return;
    }
    say(q, SLICE("no name of the address leads back to it"));
    finish(q, DNS_NO_DATA);
}

static void on_ptr(void *context, struct query *query)
{
    struct dns_question *q = context;
    q->queries[SLOT_FIRST] = NULL;
    enum dns_result result = judge(q, query);
    if (result != DNS_OK) {
        fail(q, result);
        return;
    }
    note_ttl(q, query, true);
    q->answer.is_secure = query->result->secure;
    struct name name;
    for (size_t i = 0; query->result->data[i] && q->ptr_count < PTR_NAMES_MAX; i++)
        if (name_from_wire(rdata_at(query->result, i), &name, NULL) && name.len)
            q->ptr_names[q->ptr_count++] = arena_copy(&q->answer.memory, name_slice(&name));
    try_next_name(q);
}

/* asking -------------------------------------------------------------------------------------------------------- */

static struct dns_question *new_question(struct dns *dns, struct loop *loop, dns_answered *answered, void *context)
{
    assert(loop_is_current(loop));
    struct dns_question *q = MEMORY_NEW(struct dns_question);
    q->dns = dns;
    q->loop = loop;
    q->answered = answered;
    q->context = context;
    timer_set(loop, &q->timer, dns->timeout_ms, on_timeout, q);
    return q;
}

static void refuse(void *context)
{
    struct dns_question *q = context;
    say(q, SLICE("not a valid domain name"));
    finish(q, DNS_BAD_NAME);
}

/* False: the answer that it is no name comes by itself, not inside the call. */
static bool take_name(struct dns_question *q, slice name)
{
    bool ok = name_from_text(name, &q->name);
    if (!ok)
        timer_set(q->loop, &q->timer, 0, refuse, q);
    return ok;
}

struct dns_question *dns_ask_mx(struct dns *dns, struct loop *loop, slice domain, dns_answered *answered, void *context)
{
    struct dns_question *q = new_question(dns, loop, answered, context);
    q->is_mx = true;
    if (take_name(q, domain))
        q->queries[SLOT_FIRST] = query_start(dns, loop, &q->name, TYPE_MX, on_mx, q);
    return q;
}

struct dns_question *dns_ask_addresses(struct dns *dns, struct loop *loop, slice host, dns_answered *answered,
                                       void *context)
{
    struct dns_question *q = new_question(dns, loop, answered, context);
    if (take_name(q, host))
        ask_both(q);
    return q;
}

struct dns_question *dns_ask_name(struct dns *dns, struct loop *loop, const struct address *address,
                                  dns_answered *answered, void *context)
{
    struct dns_question *q = new_question(dns, loop, answered, context);
    q->address = *address;
    name_from_address(address, &q->name);
    q->queries[SLOT_FIRST] = query_start(dns, loop, &q->name, TYPE_PTR, on_ptr, q);
    return q;
}

void dns_cancel(struct dns_question *q)
{
    assert(loop_is_current(q->loop));
    free_question(q);
}
