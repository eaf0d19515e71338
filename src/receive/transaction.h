#pragma once
#include "base/list.h"
#include "base/map.h"
#include "message/header.h"
#include "receive/replies.h"
#include "smtp/dot.h"
#include "smtp/envelope.h"
#include "spool/spool.h"
/*
 * transaction - one mail transaction (RFC 5321 §3.3): envelope, recipients without doubles, and the content on its
 * way to the spool. All of its memory ends with it. Made at MAIL only, so that an idle session owns none.
 */
struct receiver;
struct transaction {
    struct list spare; /* receiver.spare_transactions */
    struct arena memory;
    struct envelope envelope;
    size_t recipient_capacity;
    size_t rcpt_count;     /* RCPTs taken; an alias makes more recipients of one */
    size_t rcpt_tries;     /* the refused ones too: each costs memory */
    struct map recipients; /* keys: add_address_key; to find doubles */
    /* the content */
    struct spool_draft *draft; /* NULL: none yet, or the content is refused and dropped */
    struct dot_reader dot;
    struct header_scan header;
    struct text held_back; /* begun header section: what to add to it is known at its end only */
    uint32_t header_octets;
    bool header_is_stored;
    enum spool_result spool_result; /* of spool_append so far */
    enum reply_name dropped_for;    /* REPLY_OK: the draft was not dropped */
};
struct transaction *transaction_begin(struct receiver *);
void transaction_end(struct receiver *, struct transaction *); /* an open draft is abandoned */
void transaction_free_spare(struct receiver *);
/* The recipient, unless it is there already (then the first RCPT's parameters hold). `path` and `original` must live as
 * long as the transaction; slices of `like` are kept as they are. */
void transaction_add_recipient(struct transaction *, struct path forward_path, const struct recipient *like);
