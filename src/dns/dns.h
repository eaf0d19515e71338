#pragma once
#include "base/address.h"
#include "base/arena.h"
#include "io/loop.h"
/*
 * dns - typed answers with TTL and DNSSEC state, through libunbound (the only folder that includes <unbound.h>).
 *
 * One resolver per process, shared by all loops; every answer comes on the loop that asked, never inside the call.
 * Names in answers are lower case, without the last dot. CNAMEs are followed (RFC 5321 §5.1).
 */
struct dns;
struct dns_params {
    const char *server;  /* "127.0.0.1:5353": asked for every name, special-use ones included; NULL: resolv.conf's, else
                            full resolution */
    unsigned timeout_ms; /* for one question; 0: 20 s */
};
/* The loop owns the resolver's descriptor; other loops may ask too. */
MUST_CHECK struct dns *dns_new(struct loop *, const struct dns_params *, struct text *error);
void dns_free(struct dns *);
/* An answer was secure at least once. Behind a forwarder that passes no signatures on none ever is: such answers are
 * used all the same, as not secure. Ask on the owning loop. */
bool dns_validates(const struct dns *);

enum dns_result {
    DNS_OK,
    DNS_NO_DATA,   /* the name exists, no such record */
    DNS_NO_NAME,   /* NXDOMAIN */
    DNS_TEMPORARY, /* SERVFAIL, timeout, refused */
    DNS_BOGUS,     /* DNSSEC says forged: treated as temporary by delivery */
    DNS_BAD_NAME,  /* not a name that can be asked */
};
struct dns_mx {
    uint16_t preference;
    slice host;
};
struct dns_answer {
    enum dns_result result;
    bool is_secure; /* validated by DNSSEC */
    uint32_t ttl_s;
    struct arena memory;
    struct dns_mx *mx; /* by preference; equal ones shuffled (RFC 5321 §5.1) */
    size_t mx_count;
    bool mx_is_null;           /* RFC 7505: the domain takes no mail */
    struct address *addresses; /* AAAA and A interleaved: v6 first */
    size_t address_count;
    const char *text; /* for people when result is not DNS_OK: "the name server did not answer" */
};
/* The answer lives for the call. */
typedef void dns_answered(void *context, const struct dns_answer *);
struct dns_question;
/* MX set of a domain as delivery wants it: without MX records the domain itself at preference 0 if it has A/AAAA. */
struct dns_question *dns_ask_mx(struct dns *, struct loop *, slice domain, dns_answered *, void *context);
/* A and AAAA of a host. */
struct dns_question *dns_ask_addresses(struct dns *, struct loop *, slice host, dns_answered *, void *context);
/* The name of an address (PTR, confirmed forward): answer.mx[0].host. */
struct dns_question *dns_ask_name(struct dns *, struct loop *, const struct address *, dns_answered *, void *context);
void dns_cancel(struct dns_question *); /* the callback then never comes; only before it came */
