#pragma once
/*
 * protocol - how the operator's commands talk to the running server.
 *
 * Two Unix stream sockets in DIR/run (docs/architecture.md):
 *   control.sock    answered by mta: queue_*, status, submit. Mode 0666 (the folder run/ is 0755): `submit` is for every local
 *                   user, all other commands only for root and the server's own user; mta looks at SO_PEERCRED.
 *   accounts.sock   answered by keyring: account_*. Mode 0600, and SO_PEERCRED is root or keyring's own user.
 *
 * Form:      a request is one JSON object on one line (at most REQUEST_MAX octets, "\n"-ended); any number of requests, one
 *            after the other, each answered before the next is read. Unknown fields are refused, not skipped: a filter
 *            that is misspelt must not match everything.
 * Answers:   lines: {"item":{...}} any number of times, then exactly one last line:
 *              {"end":true,"count":N,"more":BOOL}  count: items given (list, show) or messages changed; more: the limit cut it short
 *              {"error":"text for people","exit":N}    N: the exit code of ctl (EXIT_* below)
 * Times are "_ms": milliseconds since 1970 UTC; 0 is "none". Ids are 16 hex digits. Octets that are not UTF-8 come as U+FFFD.
 *
 * FILTER     an object; what is named must all match; empty {} matches every message. For retry, hold, release and remove an
 *            empty one is refused unless "all":true stands beside it.
 *   ids          ["0000018c5a3f0001", ...]      at most FILTER_IDS_MAX
 *   sender       "ann@example.org", "" for the null sender, "@example.org" or ".example.org" (and below) for domains
 *   recipient    the same, any open recipient (forward path or as RCPT named it)
 *   domain       a domain that some open recipient goes to
 *   status       "queued", "active", "deferred", "held"
 *   older_ms, newer_ms      age at least, at most (milliseconds)
 *
 * mta:
 *   {"command":"queue_list","filter":FILTER,"limit":N,"recipients":N}   -> MESSAGE items, oldest first within a loop; `recipients`: the
 *                                                      most recipients listed of one message (default LIST_RECIPIENTS)
 *   {"command":"queue_show","filter":{"ids":[...]}}   -> MESSAGE items with all recipients and "header"
 *   {"command":"queue_retry|queue_hold|queue_release|queue_remove","filter":FILTER,"all":BOOL}
 *                                                     -> {"message":ID} for each; on disk when the end is answered; an error after them: not on disk
 *   {"command":"status"}                              -> one STATUS item
 *   {"command":"submit"}                              -> {"end":true,"count":0}, and from then on the connection speaks SMTP
 *                                                        (the server's 220 comes next): a submission session, signed in
 *                                                        as the local user. For `sendmail`, which so takes the one way in.
 *   MESSAGE: message (id), state, reverse_path (no brackets; "": null sender), account, client_name, client_address, helo, listener,
 *     size_octets, arrived_ms, next_attempt_ms (of the recipient that comes first), attempts (most of any recipient), held,
 *     open_recipients, recipient_count, envelope_id, recipients: [RECIPIENT], header (show only; at most HEADER_MAX octets)
 *   RECIPIENT: forward_path, original (only where it differs), state ("waiting", "deferred", "delivered", "relayed", "expanded", "failed"),
 *     attempts, next_attempt_ms, and after an attempt: stage, status ("4.4.1"), reply_code (0: none), reply (text), remote, remote_address, tls
 *   STATUS: version, pid, started_ms, loops, sessions, messages, waiting, deferred, connections, destinations (count),
 *     suspended_destinations (count), live_octets, disk_octets, memory_octets, segments, groups, syncs, spool ("ok", "full", "broken"),
 *     events: {name: count of all non-zero}, busiest: [{name, waiting, deferred, connections, suspended, retry_ms}] (at most
 *     STATUS_DESTINATIONS)
 *
 * keyring:
 *   {"command":"account_add","account":"ann@example.org","password":"..."}      or "password_hash" instead of "password"
 *   {"command":"account_set_password","account":..., "password" or "password_hash":...}
 *   {"command":"account_remove","account":...}
 *   {"command":"account_list"}      -> {"account":"ann@example.org","source":"store" | "configuration"} items
 *   add of one that exists, and remove or set of one that does not: error, exit EXIT_NEGATIVE; of one that stands in the
 *   configuration file: error, exit EXIT_NEGATIVE, text says so.
 */
enum {
    EXIT_NEGATIVE = 1,     /* a negative answer: nothing matched */
    EXIT_USAGE = 64,       /* sysexits.h: EX_USAGE */
    EXIT_DATA = 65,        /* EX_DATAERR */
    EXIT_UNAVAILABLE = 69, /* EX_UNAVAILABLE: the server is not there */
    EXIT_SOFTWARE = 70,    /* EX_SOFTWARE */
    EXIT_TEMPORARY = 75,   /* EX_TEMPFAIL */
    EXIT_NOT_ALLOWED = 77, /* EX_NOPERM */
};
enum {
    REQUEST_MAX = 256 * 1024,
    FILTER_IDS_MAX = 8192,
    LIST_RECIPIENTS = 20,
    HEADER_MAX = 256 * 1024,
    STATUS_DESTINATIONS = 50,
};
#define CONTROL_SOCKET "run/control.sock"
#define ACCOUNTS_SOCKET "run/accounts.sock"
