#include "directory/directory.h"
#include "programs/check/check.h"
#include "tls/tls.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void add(struct config_mistakes *to, slice file, const char *option, const char *format, ...) PRINTF_LIKE(4, 5);

static void add(struct config_mistakes *to, slice file, const char *option, const char *format, ...)
{
    char *what = NULL;
    va_list values;
    if (!to || to->count == CONFIG_MISTAKES_MAX)
        return;
    va_start(values, format);
    int len = vasprintf(&what, format, values);
    va_end(values);
    if (len < 0)
        abort();
    to->items[to->count++] = (struct config_mistake){ .file = arena_copy(&to->memory, file),
                                                      .option = slice_from_cstr(option),
                                                      .what = arena_copy(&to->memory, slice_from(what, (size_t)len)) };
    free(what);
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

static void check_certificate(const struct config *config, struct config_mistakes *mistakes,
                              struct config_mistakes *warnings)
{
    enum { SOON_DAYS = 21 };
    const struct config_tls *tls = &config->tls;
    struct text error = { 0 };
    int64_t days;
    if (tls->certificate_pem.len == 0)
        return;
    struct tls_context *context =
        tls_server_new(&(struct tls_server_params){ tls->certificate_pem, tls->key_pem }, &error);
    if (!context)
        add(mistakes, tls->certificate, "tls.certificate", "%s", text_cstr(&error));
    else if (!tls_certificate_days_left(tls->certificate_pem, &days))
        add(mistakes, tls->certificate, "tls.certificate", "the date it ends cannot be read");
    else if (days < 0)
        add(warnings, tls->certificate, "tls.certificate", "has ended %lld days ago: clients that check will refuse it",
            (long long)-days);
    else if (days <= SOON_DAYS)
        add(warnings, tls->certificate, "tls.certificate", "ends in %lld days", (long long)days);
    tls_context_release(context);
    text_free(&error);
}

static void check_authorities(const struct config *config, struct config_mistakes *mistakes)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        struct text error = { 0 };
        if (route->ca_pem.len == 0)
            continue;
        struct tls_context *context = tls_client_new(&(struct tls_client_params){ true, route->ca_pem }, &error);
        if (!context)
            add(mistakes, route->ca_file, "routes.ca_file", "%s", text_cstr(&error));
        tls_context_release(context);
        text_free(&error);
    }
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static void warn_of_problem(void *context, slice alias, slice problem)
{
    /* Only a warning: accounts may also be in DIR, put there by `postrider user add`. */
    add(context, SLICE(""), "aliases", SLICE_FMT ": " SLICE_FMT, SLICE_ARG(alias), SLICE_ARG(problem));
}

static void check_names(const struct config *config, struct config_mistakes *mistakes, struct config_mistakes *warnings)
{
    struct directory *directory = directory_new();
    for (size_t i = 0; i < config->domain_count; i++)
        directory_add_domain(directory, config->domains[i].name, config->domains[i].catch_all,
                             config->domains[i].address_extension);
    for (size_t i = 0; i < config->alias_count; i++)
        directory_add_alias(directory, config->aliases[i].address, config->aliases[i].targets.items,
                            config->aliases[i].targets.count);
    for (size_t i = 0; i < config->domain_count; i++) {
        const struct config_domain *domain = &config->domains[i];
        struct text error = { 0 };
        if (!directory_add_alias_text(directory, domain->name, domain->alias_text, &error))
            add(mistakes, domain->alias_file, "domains.alias_file", "%s", text_cstr(&error));
        text_free(&error);
    }
    for (size_t i = 0; i < config->account_count; i++)
        directory_add_mailbox(directory, config->accounts[i].address);
    directory_finish(directory);
    if (warnings)
        directory_each_problem(directory, warn_of_problem, warnings);
    directory_release(directory);
}

/* --- what is allowed but hardly meant ----------------------------------------------------------------------------- */

static void warn_of_relaying(const struct config *config, struct config_mistakes *warnings)
{
    for (size_t i = 0; i < config->relay_from.count; i++) {
        struct network network;
        slice given = config->relay_from.items[i];
        if (network_parse(given, &network) && network.prefix_bits < (address_is_v6(&network.address) ? 16u : 8u))
            add(warnings, SLICE(""), "relay_from",
                SLICE_FMT " lets a great part of the Internet relay: an open relay is found "
                          "and used by spammers within hours",
                SLICE_ARG(given));
    }
}

static void warn_of_tests(const struct config *config, struct config_mistakes *warnings)
{
    if (config->spool.sync_delay)
        add(warnings, SLICE(""), "spool.sync_delay", "is for tests: it makes every message wait");
    if (config->dns.mx_port != 25)
        add(warnings, SLICE(""), "dns.mx_port", "is for tests: mail servers listen on port 25");
    if (config->delivery.hold)
        add(warnings, SLICE(""), "delivery.hold", "no mail is delivered while it is true");
    if (config->listener_count == 0)
        add(warnings, SLICE(""), "listeners", "there are none: no mail comes in by SMTP");
}

static bool has_role(const struct config *config, enum listener_role role)
{
    for (size_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].role == role)
            return true;
    return false;
}

static void warn_of_purpose(const struct config *config, struct config_mistakes *warnings)
{
    if (has_role(config, ROLE_MX) && config->domain_count == 0 && config->relay_from.count == 0)
        add(warnings, SLICE(""), "domains",
            "there are none, and relay_from is empty: an mx listener has nothing it may accept");
    if (config->account_count && !has_role(config, ROLE_SUBMISSION) && !has_role(config, ROLE_SUBMISSIONS) &&
        !has_role(config, ROLE_ALTERNATIVE))
        add(warnings, SLICE(""), "listeners", "there are accounts but no listener for submission: nobody can send");
    if (slice_find_byte(config->hostname, '.') == SLICE_NOT_FOUND)
        add(warnings, SLICE(""), "hostname",
            "\"" SLICE_FMT "\" is not a full name: many servers refuse mail from such a name",
            SLICE_ARG(config->hostname));
}

bool check_deeply(const struct config *config, struct config_mistakes *mistakes, struct config_mistakes *warnings)
{
    size_t before = mistakes->count;
    check_certificate(config, mistakes, warnings);
    check_authorities(config, mistakes);
    check_names(config, mistakes, warnings);
    warn_of_relaying(config, warnings);
    warn_of_tests(config, warnings);
    warn_of_purpose(config, warnings);
    return mistakes->count == before;
}
