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
 */
enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_MX = 15, TYPE_AAAA = 28 };   /* RFC 1035 §3.2.2, RFC 3596 §2.1 */
enum { RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_REFUSED = 5 }; /* RFC 1035 §4.1.1 */

struct query;
typedef void query_answered(void *context, struct query *); /* on the asking loop; the query lives for the call */
struct query {
    struct list node; /* among dns->running */
    struct dns *dns;
    struct loop *loop;
    query_answered *answered; /* NULL: nobody waits any more. Only the asking loop touches it. */
    void *context;
    int type;
    int error; /* of libunbound itself, 0: none */
    struct ub_result *result;
};

struct dns {
    struct ub_ctx *context;
    struct loop *loop;
    struct poll *poll;
    unsigned timeout_ms;
    pthread_mutex_t lock;
    struct list running; /* guarded by lock: queries given to libunbound */
};

struct query *query_start(struct dns *, struct loop *, const struct name *, int type, query_answered *, void *context);
void query_forget(struct query *);

/* A context of libunbound for the parameters; NULL and *error on failure. */
struct ub_ctx *dns_configure(const struct dns_params *, struct text *error);
