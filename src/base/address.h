#pragma once
#include "base/text.h"
#include <netinet/in.h>
/*
 * address - IPv4 and IPv6 addresses, with port, and networks (CIDR). An IPv4-mapped IPv6 address is IPv4.
 */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};
static inline bool address_is_v6(const struct address *a) { return a->any.sa_family == AF_INET6; }
socklen_t address_length(const struct address *);
uint16_t address_port(const struct address *);
void address_set_port(struct address *, uint16_t port);
/* "192.0.2.1" or "2001:db8::1", no brackets, no zone. */
MUST_CHECK bool address_parse(slice, struct address *);
/* "192.0.2.1:25", "[2001:db8::1]:25". */
MUST_CHECK bool address_parse_with_port(slice, struct address *);
void address_from_sockaddr(struct address *, const struct sockaddr *);
void text_add_address(struct text *, const struct address *);           /* without port */
void text_add_address_with_port(struct text *, const struct address *); /* "[v6]:port" */
/* As an address literal of RFC 5321 §4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]". */
void text_add_address_literal(struct text *, const struct address *);
bool address_eq(const struct address *a, const struct address *b); /* port not compared */
bool address_is_loopback(const struct address *);

struct network {
    struct address address;
    unsigned prefix_bits;
};
/* "192.0.2.0/24", "2001:db8::/32", or one address. Host bits set behind the prefix are an error. */
MUST_CHECK bool network_parse(slice, struct network *);
bool network_has(const struct network *, const struct address *);
