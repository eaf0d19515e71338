#pragma once
#include "base/address.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/text.h"
#include "config/options.def"
/*
 * config - the configuration as an immutable snapshot: read once, checked whole, then only looked at. A reload makes
 * a new snapshot; whoever works under the old one keeps it until done (config_hold, config_release; any thread).
 *
 * Passing on:  config_write gives the snapshot as flat YAML, with every secret and file (certificates, alias
 *              files) inside; config_read_text of that is the same snapshot. So the supervisor alone reads files, the
 *              other processes get the text, and `postrider local` makes the text from its flags.
 */
struct config_list {
    slice *items;
    size_t count;
};
enum listener_role { ROLE_MX, ROLE_SUBMISSION, ROLE_SUBMISSIONS, ROLE_ALTERNATIVE };
enum route_kind { ROUTE_MX, ROUTE_SMARTHOST, ROUTE_LMTP, ROUTE_CAPTURE, ROUTE_DISCARD };
enum tls_level { TLS_NONE, TLS_OPPORTUNISTIC, TLS_REQUIRED, TLS_VERIFIED, TLS_IMPLICIT };
enum log_text { LOG_NONE, LOG_IMPORTANT, LOG_ALL };

#define CONFIG_TYPE_BOOL               bool
#define CONFIG_TYPE_COUNT              uint64_t
#define CONFIG_TYPE_DURATION           uint64_t
#define CONFIG_TYPE_SIZE               uint64_t
#define CONFIG_TYPE_TEXT               slice
#define CONFIG_TYPE_NAME               slice
#define CONFIG_TYPE_FILE               slice
#define CONFIG_TYPE_SECRET             slice
#define CONFIG_TYPE_ADDRESSES          struct config_list
#define CONFIG_TYPE_NAMES              struct config_list
#define CONFIG_TYPE_TEXTS              struct config_list
#define CONFIG_TYPE_NETWORKS           struct config_list
#define CONFIG_TYPE_CHOICE(name)       enum name
#define CONFIG_FIELD(field, type, ...) CONFIG_TYPE_##type field;

struct config_listener {
    LISTENER_OPTIONS(CONFIG_FIELD)
};
struct config_tls {
    TLS_OPTIONS(CONFIG_FIELD)
    slice certificate_pem, key_pem; /* the files' content */
};
struct config_domain {
    DOMAIN_OPTIONS(CONFIG_FIELD)
    slice alias_text; /* the alias file's content */
};
struct config_alias {
    ALIAS_OPTIONS(CONFIG_FIELD)
};
struct config_account {
    ACCOUNT_OPTIONS(CONFIG_FIELD)
};
struct config_route {
    ROUTE_OPTIONS(CONFIG_FIELD) slice ca_pem;
};
struct config_dns {
    DNS_OPTIONS(CONFIG_FIELD)
};
struct config_limits {
    LIMITS_OPTIONS(CONFIG_FIELD)
};
struct config_retry {
    RETRY_OPTIONS(CONFIG_FIELD)
};
struct config_spool {
    SPOOL_OPTIONS(CONFIG_FIELD)
};
struct config_log {
    LOG_OPTIONS(CONFIG_FIELD)
};
struct config_delivery {
    DELIVERY_OPTIONS(CONFIG_FIELD)
};

struct config {
    SERVER_OPTIONS(CONFIG_FIELD)
    struct config_tls tls;
    struct config_dns dns;
    struct config_limits limits;
    struct config_retry retry;
    struct config_spool spool;
    struct config_log log;
    struct config_delivery delivery;
    struct config_listener *listeners;
    size_t listener_count;
    struct config_domain *domains;
    size_t domain_count;
    struct config_alias *aliases;
    size_t alias_count;
    struct config_account *accounts;
    size_t account_count;
    struct config_route *routes;
    size_t route_count;
    struct map route_index; /* a routes' domain as written in the file -> the first route that names it */
    struct arena memory;
    int references; /* atomic */
};
/* The first route in the file that names `domain`, as itself, by one of its parents (".example.org") or by "*"; NULL:
 * none does, its mail goes by MX. Time does not grow with the count of routes. */
const struct config_route *config_find_route(const struct config *, slice domain);
const struct config_route *config_find_exact_route(const struct config *, slice domain); /* only as itself */

/* A mistake, for people: "postrider.yaml:12:5: limits.max_mesage_size: unknown option; did you mean max_message_size?"
 */
struct config_mistake {
    slice file;
    unsigned line, column; /* 1-based; 0: not about a place */
    slice option;          /* "limits.max_message_size"; may be empty */
    slice what;            /* what is wrong, what was expected, the nearest known name */
};
enum { CONFIG_MISTAKES_MAX = 200 };
struct config_mistakes {
    struct config_mistake items[CONFIG_MISTAKES_MAX];
    size_t count;
    struct arena memory;
};
void config_mistakes_free(struct config_mistakes *);
void text_add_config_mistake(struct text *, const struct config_mistake *);

/* NULL when there are mistakes (all of them are found, not only the first). */
MUST_CHECK struct config *config_read_file(const char *path, struct config_mistakes *);
/* `name` stands for the file in mistakes; relative FILE paths start at `folder`. */
MUST_CHECK struct config *config_read_text(slice yaml, const char *name, const char *folder, struct config_mistakes *);
/* For the other processes: everything is inside, but only the secrets that are the reader's business. */
enum config_share {
    CONFIG_FOR_ALL,     /* every secret: tests, `postrider local` */
    CONFIG_FOR_MTA,     /* accounts' passwords and hashes are replaced by the hash "*", which no password has */
    CONFIG_FOR_KEYRING, /* no TLS certificate and key; routes' passwords replaced by "*" */
    CONFIG_FOR_MAILBOX, /* neither */
};
void config_write(struct text *yaml, const struct config *, enum config_share);
void config_write_shown(struct text *yaml, const struct config *); /* for people: secrets as "(hidden)" */
/* A text in YAML's double quotes: whatever it holds, it is read as that text. */
void text_add_yaml_quoted(struct text *, slice);
struct config *config_hold(struct config *);
void config_release(struct config *); /* the last one frees it, secrets wiped */

/* What is made from options.def: docs/configuration.md, the JSON Schema, the manual page's option part. */
void config_write_reference(struct text *markdown);
void config_write_schema(struct text *json);
void config_write_manual(struct text *troff);
