#include "config/table.h"
/*
 * table - one row for each row of options.def. The words of the CHOICE types stand here, beside the enum's order.
 */
#define WORDS(name, ...)                                                                                               \
    static const slice name##_list[] = { __VA_ARGS__ };                                                                \
    static const struct option_words name##_words = { name##_list, COUNT(name##_list) };

WORDS(listener_role, [ROLE_MX] = LIT("mx"), [ROLE_SUBMISSION] = LIT("submission"),
      [ROLE_SUBMISSIONS] = LIT("submissions"), [ROLE_ALTERNATIVE] = LIT("alternative"))
WORDS(route_kind, [ROUTE_MX] = LIT("mx"), [ROUTE_SMARTHOST] = LIT("smarthost"), [ROUTE_LMTP] = LIT("lmtp"),
      [ROUTE_CAPTURE] = LIT("capture"), [ROUTE_DISCARD] = LIT("discard"))
WORDS(tls_level, [TLS_NONE] = LIT("none"), [TLS_OPPORTUNISTIC] = LIT("opportunistic"), [TLS_REQUIRED] = LIT("required"),
      [TLS_VERIFIED] = LIT("verified"), [TLS_IMPLICIT] = LIT("implicit"))
WORDS(log_text, [LOG_NONE] = LIT("none"), [LOG_IMPORTANT] = LIT("important"), [LOG_ALL] = LIT("all"))

/* Where the content of a FILE option goes; 0 for files that are only named. */
enum {
    CONTENT_dir = 0,
    CONTENT_certificate = offsetof(struct config_tls, certificate_pem),
    CONTENT_key = offsetof(struct config_tls, key_pem),
    CONTENT_alias_file = offsetof(struct config_domain, alias_text),
    CONTENT_ca_file = offsetof(struct config_route, ca_pem),
};

#define TYPE_BOOL(field)      .type = OPTION_BOOL
#define TYPE_COUNT(field)     .type = OPTION_COUNT
#define TYPE_DURATION(field)  .type = OPTION_DURATION
#define TYPE_SIZE(field)      .type = OPTION_SIZE
#define TYPE_TEXT(field)      .type = OPTION_TEXT
#define TYPE_NAME(field)      .type = OPTION_NAME
#define TYPE_FILE(field)      .type = OPTION_FILE, .content_offset = CONTENT_##field
#define TYPE_SECRET(field)    .type = OPTION_SECRET
#define TYPE_ADDRESSES(field) .type = OPTION_ADDRESSES
#define TYPE_NAMES(field)     .type = OPTION_NAMES
#define TYPE_TEXTS(field)     .type = OPTION_TEXTS
#define TYPE_NETWORKS(field)  .type = OPTION_NETWORKS
#define CHOICE_OF(name)       .type = OPTION_CHOICE, .words = &name##_words
#define TYPE_CHOICE(name)     CHOICE_OF(name) IGNORE_FIELD
#define IGNORE_FIELD(field)

#define OPTION(struct_name, field, kind, preset_text, low, high, when, text)                                           \
    { .name = LIT(#field),                                                                                             \
      TYPE_##kind(field),                                                                                              \
      .offset = offsetof(struct struct_name, field),                                                                   \
      .preset = preset_text,                                                                                           \
      .lowest = low,                                                                                                   \
      .highest = high,                                                                                                 \
      .change = when,                                                                                                  \
      .manual = text },

#define SERVER_ROW(...)   OPTION(config, __VA_ARGS__)
#define LISTENER_ROW(...) OPTION(config_listener, __VA_ARGS__)
#define TLS_ROW(...)      OPTION(config_tls, __VA_ARGS__)
#define DOMAIN_ROW(...)   OPTION(config_domain, __VA_ARGS__)
#define ALIAS_ROW(...)    OPTION(config_alias, __VA_ARGS__)
#define ACCOUNT_ROW(...)  OPTION(config_account, __VA_ARGS__)
#define ROUTE_ROW(...)    OPTION(config_route, __VA_ARGS__)
#define DNS_ROW(...)      OPTION(config_dns, __VA_ARGS__)
#define LIMITS_ROW(...)   OPTION(config_limits, __VA_ARGS__)
#define RETRY_ROW(...)    OPTION(config_retry, __VA_ARGS__)
#define SPOOL_ROW(...)    OPTION(config_spool, __VA_ARGS__)
#define LOG_ROW(...)      OPTION(config_log, __VA_ARGS__)
#define DELIVERY_ROW(...) OPTION(config_delivery, __VA_ARGS__)

static const struct option server_options[] = { SERVER_OPTIONS(SERVER_ROW) };
static const struct option listener_options[] = { LISTENER_OPTIONS(LISTENER_ROW) };
static const struct option tls_options[] = { TLS_OPTIONS(TLS_ROW) };
static const struct option domain_options[] = { DOMAIN_OPTIONS(DOMAIN_ROW) };
static const struct option alias_options[] = { ALIAS_OPTIONS(ALIAS_ROW) };
static const struct option account_options[] = { ACCOUNT_OPTIONS(ACCOUNT_ROW) };
static const struct option route_options[] = { ROUTE_OPTIONS(ROUTE_ROW) };
static const struct option dns_options[] = { DNS_OPTIONS(DNS_ROW) };
static const struct option limits_options[] = { LIMITS_OPTIONS(LIMITS_ROW) };
static const struct option retry_options[] = { RETRY_OPTIONS(RETRY_ROW) };
static const struct option spool_options[] = { SPOOL_OPTIONS(SPOOL_ROW) };
static const struct option log_options[] = { LOG_OPTIONS(LOG_ROW) };
static const struct option delivery_options[] = { DELIVERY_OPTIONS(DELIVERY_ROW) };

#define ONE(field, table, text)                                                                                        \
    {                                                                                                                  \
        .name = LIT(#field), .options = table, .option_count = COUNT(table), .offset = offsetof(struct config, field), \
        .item_octets = sizeof(((struct config *)0)->field), .manual = text                                             \
    }
#define MANY(field, one, table, text)                                                                                  \
    {                                                                                                                  \
        .name = LIT(#field), .is_list = true, .options = table, .option_count = COUNT(table),                          \
        .offset = offsetof(struct config, field), .count_offset = offsetof(struct config, one##_count),                \
        .item_octets = sizeof(*((struct config *)0)->field), .manual = text                                            \
    }

const struct section config_sections[SECTIONS] = {
    [SECTION_SERVER] = { .name = LIT(""),
                         .options = server_options,
                         .option_count = COUNT(server_options),
                         .offset = 0,
                         .item_octets = sizeof(struct config),
                         .manual = "The machine and the processes. These options stand at the top of the file." },
    [SECTION_TLS] = ONE(tls, tls_options, "The certificate shown to clients (RFC 3207, RFC 8314)."),
    [SECTION_DNS] = ONE(dns, dns_options, "Where names are looked up."),
    [SECTION_LIMITS] = ONE(limits, limits_options, "What one client, session or message may take."),
    [SECTION_RETRY] = ONE(retry, retry_options, "When a message that could not be delivered yet is tried again."),
    [SECTION_SPOOL] = ONE(spool, spool_options, "The journal of the messages we have taken responsibility for."),
    [SECTION_LOG] = ONE(log, log_options, "The event log in DIR/log and the readable text on stderr."),
    [SECTION_DELIVERY] = ONE(delivery, delivery_options, "How outgoing connections are made."),
    [SECTION_LISTENERS] =
        MANY(listeners, listener, listener_options, "Where mail comes in: a list, one item for each role."),
    [SECTION_DOMAINS] = MANY(domains, domain, domain_options, "The domains whose mail is kept here: a list."),
    [SECTION_ALIASES] = MANY(aliases, alias, alias_options, "Names that stand for other addresses: a list."),
    [SECTION_ACCOUNTS] = MANY(accounts, account, account_options,
                              "Who may sign in and has a mailbox: a list. `postrider user` keeps more of them in DIR."),
    [SECTION_ROUTES] =
        MANY(routes, route, route_options,
             "Which way mail to other domains goes: a list. Of the items that name a domain the first in the "
             "file counts. What no item names is delivered by MX."),
};

const char *option_type_expected(enum option_type type)
{
    static const char *const expected[] = {
        [OPTION_BOOL] = "true or false",
        [OPTION_COUNT] = "a whole number",
        [OPTION_DURATION] = "a duration such as 5d, 1h30m, 90s or 250ms",
        [OPTION_SIZE] = "a size such as 25M, 64K or 1G",
        [OPTION_TEXT] = "a text",
        [OPTION_NAME] = "a domain name such as mail.example.org",
        [OPTION_FILE] = "the path of a file",
        [OPTION_SECRET] = "a text, ${ENV} or {file: PATH}",
        [OPTION_ADDRESSES] = "ADDR:PORT such as 192.0.2.1:25 or \"[2001:db8::1]:25\", or a list of them",
        [OPTION_NAMES] = "a domain name or a list of them",
        [OPTION_TEXTS] = "a text or a list of them",
        [OPTION_NETWORKS] = "a network such as 192.0.2.0/24 or 2001:db8::/32, or a list of them",
        [OPTION_CHOICE] = "one of the words",
    };
    _Static_assert(COUNT(expected) == OPTION_TYPES, "every type says what it expects");
    return expected[type];
}

const struct section *config_find_section(slice name)
{
    for (size_t i = 1; i < SECTIONS; i++)
        if (slice_eq(config_sections[i].name, name))
            return &config_sections[i];
    return NULL;
}

const struct option *section_find_option(const struct section *section, slice name)
{
    for (size_t i = 0; i < section->option_count; i++)
        if (slice_eq(section->options[i].name, name))
            return &section->options[i];
    return NULL;
}

void *section_item(const struct section *section, struct config *config, size_t index)
{
    char *place = (char *)config + section->offset, *items;
    if (!section->is_list)
        return place;
    memcpy(&items, place, sizeof items);
    return items + index * section->item_octets;
}

size_t section_count(const struct section *section, const struct config *config)
{
    size_t count = 1;
    if (section->is_list)
        memcpy(&count, (const char *)config + section->count_offset, sizeof(count));
    return count;
}
