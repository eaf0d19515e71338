#pragma once
#include "base/address.h"
/*
 * name - domain names as DNS carries them (RFC 1035 §3.1) and as the rest of the house wants them: lower case, no last
 * dot, letters, digits, '-' and '_' only. Other octets are legal in DNS, but never in a name of a mail host: whoever
 * sends them wants to get at our logs or replies.
 */
enum { NAME_TEXT_MAX = 253, LABEL_MAX = 63 };
struct name {
    char text[NAME_TEXT_MAX + 1]; /* NUL behind the end; "" is the root */
    size_t len;
};
static inline slice name_slice(const struct name *n) { return (slice){ n->text, n->len }; }
/* A name that may be asked for: "Example.ORG." becomes "example.org". Not the root. */
MUST_CHECK bool name_from_text(slice, struct name *);
/* Uncompressed wire format; *rest gets what follows it (may be NULL: nothing may follow). */
MUST_CHECK bool name_from_wire(slice wire, struct name *, slice *rest);
/* "1.2.0.192.in-addr.arpa", "...ip6.arpa" (RFC 1035 §3.5, RFC 3596 §2.5). */
void name_from_address(const struct address *, struct name *);

struct mx_data {
    uint16_t preference;
    struct name host; /* root: null MX (RFC 7505) */
};
/* RFC 1035 §3.3.9 */
MUST_CHECK bool mx_data_parse(slice rdata, struct mx_data *);
/* Rdata of A (4 octets) or AAAA (16). */
MUST_CHECK bool address_data_parse(slice rdata, struct address *);
