#pragma once
#include "smtp/path.h"
/*
 * received - the trace fields we put in front of a message: Received: and Return-Path: (RFC 5321 §4.4).
 *
 *   Received: from HELO (NAME [192.0.2.1])
 *           (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)
 *           by HOSTNAME (Postrider) with ESMTPS id ID for <ann@example.org>;
 *           Fri, 21 Nov 1997 09:55:06 -0600
 *
 * The client's words (HELO, its name) cannot inject a field or unbalance a comment: what is not a plain name is written
 * as "?".
 */
struct received {
    slice helo;           /* as given; empty: "unknown" */
    slice client_name;    /* from DNS, verified; empty: unknown */
    slice client_address; /* address literal without brackets, "192.0.2.1" or "IPv6:2001:db8::1"; empty: local
                             submission */
    slice hostname;       /* ours */
    bool is_esmtp, is_lmtp, is_tls, is_authenticated, is_utf8; /* RFC 3848, RFC 6531 §4.3: the `with` keyword */
    slice tls;                                                 /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: no comment */
    slice id;
    struct path recipient; /* only when there is exactly one; null: no `for` */
    uint64_t now_ms;       /* wall clock */
};
void text_add_received(struct text *, const struct received *);
void text_add_return_path(struct text *, struct path reverse_path);
