#pragma once
#include "base/list.h"
#include "base/text.h"
#include "dns/dns.h"
#include "dns/name.h"
#include <pthread.h>
#include <unbound.h>
/*
 * inside - what the files of dns/ share.
 *
 * A question of a caller needs one or several queries of libunbound. A query lives from query_start until its answer
 * has reached the asking loop; when its question is gone by then the answer is dropped. Nothing is ever cancelled in
 * libunbound, so there is no race between its callback, on the owning loop, and a caller who loses interest on another.
 *
 * A forwarder that passes no signatures on (many a router, many a container's) makes every answer look forged. When one
 * does and the root's own keys cannot be proven through it either, there is nothing to validate with: a second context
 * without trust anchor takes over, and its answers are never called secure. Once a single answer was secure that way is
 * closed, so that nobody can talk us out of validation later.
 */
enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_MX = 15, TYPE_AAAA = 28, TYPE_DNSKEY = 48 }; /* RFC 1035 §3.2.2, 3596, 4034 */
enum { CLASS_IN = 1 };
enum { RCODE_NOERROR = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_REFUSED = 5 }; /* RFC 1035 §4.1.1 */
enum { SERVERS_MAX = 3 }; /* as many as resolv.conf(5) has */

struct query;
typedef void query_answered(void *context, struct query *); /* on the asking loop; the query lives for the call */
struct query {
    struct list node; /* in dns->running or dns->suspects */
    struct dns *dns;
    struct loop *loop;
    query_answered *answered; /* NULL: nobody waits any more. Only the asking loop touches it. */
    void *context;
    struct ub_ctx *asked;
    struct name name;
    int type;
    int error; /* of libunbound itself, 0: none */
    struct ub_result *result;
};

struct dns_setup {
    struct address servers[SERVERS_MAX];
    size_t server_count;  /* 0: full resolution */
    bool asks_everything; /* special-use names too */
    bool has_anchor;      /* the root's, where its file can be read */
};

enum root_state {
    ROOT_UNKNOWN,
    ROOT_ASKED,
    ROOT_PROVEN,     /* validation works: what is bogus is bogus */
    ROOT_UNPROVABLE, /* dns->plain has taken over */
};

struct dns {
    struct loop *loop;
    struct dns_setup setup;
    unsigned timeout_ms;
    struct ub_ctx *first, *plain; /* plain: NULL as long as it is not needed */
    struct poll *polls[2];
    enum root_state root;   /* the owning loop's, as is suspects */
    struct list suspects;   /* bogus answers that wait for the verdict on the root */
    pthread_mutex_t lock;   /* guards the two below */
    struct ub_ctx *context; /* the one that is asked */
    struct list running;    /* queries given to libunbound */
};

struct query *query_start(struct dns *, struct loop *, const struct name *, int type, query_answered *, void *context);
void query_forget(struct query *);

MUST_CHECK bool dns_setup_from(const struct dns_params *, struct dns_setup *, struct text *error);
/* A context of libunbound; NULL and *error on failure. */
struct ub_ctx *dns_configure(const struct dns_setup *, struct text *error);
struct dns *dns_open(struct loop *, const struct dns_setup *, unsigned timeout_ms, struct text *error);
