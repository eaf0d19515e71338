#pragma once
#include "base/arena.h"
#include "base/text.h"
/*
 * sasl - mechanisms, both sides, without I/O (RFC 4422): PLAIN (RFC 4616) and LOGIN now, a table to add to.
 *
 * Server: sasl_server_step takes the decoded client response and says what to do. Checking the password is the caller's
 * (asynchronous, in keyring). Client: sasl_client_step makes the next response.
 */
struct sasl_mechanism {
    slice name;
    bool needs_encryption; /* sends the password in clear: only under TLS */
};
extern const struct sasl_mechanism sasl_mechanisms[];
extern const size_t sasl_mechanism_count;
const struct sasl_mechanism *sasl_find(slice name); /* without case; NULL: unknown */

enum sasl_result { SASL_CHALLENGE, SASL_VERIFY, SASL_BAD };
struct sasl_server { /* {0} then sasl_server_start */
    const struct sasl_mechanism *mechanism;
    unsigned step;
    struct text name, password, authorization;
};
void sasl_server_start(struct sasl_server *, const struct sasl_mechanism *);
/* `has_response` false: none came yet (no initial response). SASL_CHALLENGE: *challenge (not encoded) is to be sent.
 * SASL_VERIFY: name, password (and authorization, empty or equal to name: else SASL_BAD) are filled. Each at most 1
 * KiB. */
enum sasl_result sasl_server_step(struct sasl_server *, bool has_response, slice response, struct text *challenge);
void sasl_server_clear(struct sasl_server *); /* wipes and frees */

struct sasl_client {
    const struct sasl_mechanism *mechanism;
    slice name, password; /* borrowed */
    unsigned step;
};
/* The best of the words of an EHLO AUTH line that we know; NULL: none. */
const struct sasl_mechanism *sasl_client_choose(slice offered);
/* The next response, not encoded; false: the server asks for more than the mechanism has. First call: the initial
 * response (RFC 4954 §4); an empty one means that none is sent: "AUTH LOGIN" alone. */
MUST_CHECK bool sasl_client_step(struct sasl_client *, slice challenge, struct text *response);
