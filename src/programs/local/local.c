#include "programs/local/local.h"
#include "base/clock.h"
#include "base/memory.h"
#include "config/config.h"
#include "programs/ctl/arguments.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

struct flags {
    const char *hostname, *dir, *loops, *dns, *mx_port, *max_message_size, *retry_min, *retry_max, *queue_lifetime,
        *delay_warning, *sync_delay, *log_text, *idle_connection, *tls_cert, *tls_key, *relay_to;
    bool hold, capture, print_config;
    struct argument_list mx, submission, smtps, domains, users, aliases, relay_from, routes, set;
};

/* The flags that are one option of the file each. */
struct single {
    size_t offset; /* in struct flags, of a const char * */
    const char *section, *option, *flag;
    bool is_path;
};
#define SINGLE(field, ...)                                                                                             \
    {                                                                                                                  \
        offsetof(struct flags, field), __VA_ARGS__                                                                     \
    }
static const struct single singles[] = {
    SINGLE(hostname, "", "hostname", "--hostname", false),
    SINGLE(dir, "", "dir", "--dir", true),
    SINGLE(loops, "", "loops", "--loops", false),
    SINGLE(tls_cert, "tls", "certificate", "--tls-cert", true),
    SINGLE(tls_key, "tls", "key", "--tls-key", true),
    SINGLE(dns, "dns", "server", "--dns", false),
    SINGLE(mx_port, "dns", "mx_port", "--mx-port", false),
    SINGLE(max_message_size, "limits", "max_message_size", "--max-message-size", false),
    SINGLE(retry_min, "retry", "first", "--retry-min", false),
    SINGLE(retry_max, "retry", "longest", "--retry-max", false),
    SINGLE(queue_lifetime, "retry", "queue_lifetime", "--queue-lifetime", false),
    SINGLE(delay_warning, "retry", "delay_warning", "--delay-warning", false),
    SINGLE(sync_delay, "spool", "sync_delay", "--sync-delay", false),
    SINGLE(log_text, "log", "text", "--log-text", false),
    SINGLE(idle_connection, "delivery", "idle_connection", "--idle-connection", false),
};
static const char *const sections[] = { "", "tls", "dns", "limits", "retry", "spool", "log", "delivery" };

/* The other flags by the option a mistake in the composed text is about. */
static const struct {
    const char *option, *flag;
} other_flags[] = {
    { "relay_from", "--relay-from" },  { "listeners.address", "--mx, --submission, --smtps" },
    { "domains.name", "--domain" },    { "aliases.address", "--alias" },
    { "aliases.targets", "--alias" },  { "accounts.address", "--user" },
    { "accounts.password", "--user" }, { "routes.host", "--relay-to, --route" },
    { "routes.domains", "--route" },   { "routes.via", "--route" },
};

struct composer {
    struct flags *flags;
    struct arena memory;
    struct text *yaml;
    bool failed;
};

static void refuse(struct composer *c, const char *flag, const char *found, const char *expected)
{
    fprintf(stderr, "postrider local: %s: expected %s, found \"%s\"\n", flag, expected, found);
    c->failed = true;
}

static void add_line(struct composer *c, const char *indent, const char *option, slice value)
{
    text_add_format(c->yaml, "%s%s: ", indent, option);
    text_add_yaml_quoted(c->yaml, value);
    text_add_byte(c->yaml, '\n');
}

/* --- single options ----------------------------------------------------------------------------------------------- */

static const char *flag_value(const struct flags *flags, const struct single *single)
{
    const char *value;
    memcpy(&value, (const char *)flags + single->offset, sizeof value);
    return value;
}

static slice absolute_path(struct composer *c, const char *path)
{
    char *here = path[0] == '/' || !path[0] ? NULL : getcwd(NULL, 0);
    slice absolute = here ? arena_format(&c->memory, "%s/%s", here, path) : slice_from_cstr(path);
    free(here);
    return absolute;
}

static const char *default_dir(struct composer *c)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && state[0] == '/') /* a relative one is to be ignored: XDG Base Directory Specification */
        return arena_format(&c->memory, "%s/postrider/local", state).ptr;
    const struct passwd *entry = home && home[0] == '/' ? NULL : getpwuid(geteuid());
    home = entry ? entry->pw_dir : home;
    return arena_cstr(&c->memory, arena_format(&c->memory, "%s/.local/state/postrider/local",
                                               home && home[0] == '/' ? home : "/tmp"));
}

/* SECTION.OPTION=VALUE, or OPTION=VALUE for the top of the file. */
struct setting {
    slice section, option, value;
};
static bool setting_parse(slice text, struct setting *setting)
{
    bool has_value, has_section, is_known = false;
    slice name, rest;
    setting->value = slice_cut(text, '=', &name, &has_value);
    rest = slice_cut(name, '.', &setting->section, &has_section);
    setting->option = has_section ? rest : name;
    if (!has_section)
        setting->section = SLICE("");
    for (size_t i = 0; i < COUNT(sections); i++)
        is_known = is_known || slice_eq(setting->section, slice_from_cstr(sections[i]));
    return has_value && is_known && setting->option.len > 0;
}

static bool is_set(const struct composer *c, const char *section, const char *option)
{
    for (size_t i = 0; i < c->flags->set.count; i++) {
        struct setting s;
        if (setting_parse(slice_from_cstr(c->flags->set.items[i]), &s) &&
            slice_eq(s.section, slice_from_cstr(section)) && slice_eq(s.option, slice_from_cstr(option)))
            return true;
    }
    return false;
}

/* What `local` presets differently from a server's file. */
static void set_presets(struct composer *c)
{
    struct flags *f = c->flags;
    uint64_t first = MINUTES(5), longest = HOURS(4); /* as in options.def */
    bool has_first =
        (f->retry_min && parse_duration(slice_from_cstr(f->retry_min), &first)) || is_set(c, "retry", "first");
    bool has_longest =
        (f->retry_max && parse_duration(slice_from_cstr(f->retry_max), &longest)) || is_set(c, "retry", "longest");
    /* One of the two given alone moves the other with it. */
    if (has_longest && !has_first && !f->retry_min && longest < first)
        f->retry_min = f->retry_max;
    if (has_first && !has_longest && !f->retry_max && longest < first)
        f->retry_max = f->retry_min;
    if (!f->hostname && !is_set(c, "", "hostname"))
        f->hostname = "postrider.localhost";
    if (!f->dir && !is_set(c, "", "dir"))
        f->dir = default_dir(c);
}

static void compose_section(struct composer *c, const char *section)
{
    size_t start = c->yaml->len;
    const char *indent = *section ? "  " : "";
    if (*section)
        text_add_format(c->yaml, "%s:\n", section);
    size_t named = c->yaml->len;
    for (size_t i = 0; i < COUNT(singles); i++) {
        const char *value = flag_value(c->flags, &singles[i]);
        if (value && strcmp(singles[i].section, section) == 0)
            add_line(c, indent, singles[i].option,
                     singles[i].is_path ? absolute_path(c, value) : slice_from_cstr(value));
    }
    for (size_t i = 0; i < c->flags->set.count; i++) {
        struct setting s;
        if (setting_parse(slice_from_cstr(c->flags->set.items[i]), &s) && slice_eq(s.section, slice_from_cstr(section)))
            add_line(c, indent, arena_cstr(&c->memory, s.option), s.value);
    }
    if (strcmp(section, "spool") == 0 && !is_set(c, "spool", "reserve"))
        add_line(c, indent, "reserve", SLICE("16M")); /* a developer's disk may be nearly full */
    if (strcmp(section, "delivery") == 0 && c->flags->hold)
        add_line(c, indent, "hold", SLICE("true"));
    if (c->yaml->len == named)
        c->yaml->len = start;
}

static void compose_singles(struct composer *c)
{
    for (size_t i = 0; i < c->flags->set.count; i++) {
        struct setting s;
        if (!setting_parse(slice_from_cstr(c->flags->set.items[i]), &s))
            refuse(
                c, "--set", c->flags->set.items[i],
                "SECTION.OPTION=VALUE with a section tls, dns, limits, retry, spool, log or delivery, or OPTION=VALUE");
    }
    for (size_t i = 0; i < COUNT(sections); i++)
        compose_section(c, sections[i]);
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

/* 2525, :2525 and localhost:2525 are loopback; the rest is the configuration's to judge. */
static slice listen_address(struct composer *c, const char *given)
{
    slice text = slice_from_cstr(given), port = text;
    uint64_t number;
    if (slice_starts_with_nocase(text, SLICE("localhost:")))
        port = slice_tail(text, 10);
    else if (slice_starts_with(text, SLICE(":")))
        port = slice_tail(text, 1);
    return parse_u64(port, &number) ? arena_format(&c->memory, "127.0.0.1:" SLICE_FMT, SLICE_ARG(port)) : text;
}

static void compose_listener(struct composer *c, const char *role, const struct argument_list *addresses,
                             const char *preset)
{
    if (addresses->count == 0 && !preset)
        return;
    text_add_format(c->yaml, "  - role: %s\n    address:\n", role);
    for (size_t i = 0; i < size_max(addresses->count, 1); i++) {
        text_add_cstr(c->yaml, "      - ");
        text_add_yaml_quoted(c->yaml,
                             addresses->count ? listen_address(c, addresses->items[i]) : slice_from_cstr(preset));
        text_add_byte(c->yaml, '\n');
    }
}

static void compose_listeners(struct composer *c)
{
    const struct flags *f = c->flags;
    bool none = f->mx.count + f->submission.count + f->smtps.count == 0;
    text_add_cstr(c->yaml, "listeners:\n");
    compose_listener(c, "mx", &f->mx, none ? "127.0.0.1:2525" : NULL);
    compose_listener(c, "submission", &f->submission, none ? "127.0.0.1:2587" : NULL);
    compose_listener(c, "submissions", &f->smtps, none ? "127.0.0.1:2465" : NULL);
}

static void compose_relay_from(struct composer *c)
{
    const struct argument_list *networks = &c->flags->relay_from;
    text_add_cstr(c->yaml, networks->count ? "relay_from:\n" : "");
    for (size_t i = 0; i < networks->count; i++) {
        text_add_cstr(c->yaml, "  - ");
        text_add_yaml_quoted(c->yaml, slice_from_cstr(networks->items[i]));
        text_add_byte(c->yaml, '\n');
    }
}

/* NAME@DOMAIN, a separator, the rest: which may hold the separator again, as the name may. */
static bool split_address(const char *given, char separator, slice *address, slice *rest)
{
    slice text = slice_from_cstr(given);
    size_t at = slice_find_byte(text, '@');
    size_t end = at == SLICE_NOT_FOUND ? at : slice_find_byte(slice_tail(text, at), separator);
    if (at == SLICE_NOT_FOUND || at == 0 || end == SLICE_NOT_FOUND)
        return false;
    *address = slice_head(text, at + end);
    *rest = slice_tail(text, at + end + 1);
    return rest->len > 0;
}

static bool is_listed(const struct argument_list *names, slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (slice_eq_nocase(slice_from_cstr(names->items[i]), name))
            return true;
    return false;
}

/* Those of --domain, then those of --user that are new. */
static void compose_domains(struct composer *c)
{
    struct argument_list hosted = { 0 };
    for (size_t i = 0; i < c->flags->domains.count; i++)
        if (!is_listed(&hosted, slice_from_cstr(c->flags->domains.items[i])))
            arguments_list_add(&hosted, c->flags->domains.items[i]);
    for (size_t i = 0; i < c->flags->users.count; i++) {
        slice address, password;
        if (!split_address(c->flags->users.items[i], ':', &address, &password))
            continue;
        slice domain = slice_tail(address, slice_find_byte(address, '@') + 1);
        if (!is_listed(&hosted, domain))
            arguments_list_add(&hosted, arena_cstr(&c->memory, domain));
    }
    text_add_cstr(c->yaml, hosted.count ? "domains:\n" : "");
    for (size_t i = 0; i < hosted.count; i++)
        add_line(c, "  - ", "name", slice_from_cstr(hosted.items[i]));
    arguments_list_free(&hosted);
}

static void compose_users(struct composer *c)
{
    const struct argument_list *users = &c->flags->users;
    text_add_cstr(c->yaml, users->count ? "accounts:\n" : "");
    for (size_t i = 0; i < users->count; i++) {
        slice address, password;
        if (!split_address(users->items[i], ':', &address, &password)) {
            refuse(c, "--user", users->items[i], "NAME@DOMAIN:PASSWORD");
            continue;
        }
        add_line(c, "  - ", "address", address);
        text_add_cstr(c->yaml,
                      "    password: {text: "); /* verbatim: "${X}" on the command line is no variable any more */
        text_add_yaml_quoted(c->yaml, password);
        text_add_cstr(c->yaml, "}\n");
    }
}

static void compose_aliases(struct composer *c)
{
    const struct argument_list *aliases = &c->flags->aliases;
    text_add_cstr(c->yaml, aliases->count ? "aliases:\n" : "");
    for (size_t i = 0; i < aliases->count; i++) {
        slice address, targets, target;
        if (!split_address(aliases->items[i], '=', &address, &targets)) {
            refuse(c, "--alias", aliases->items[i], "NAME@DOMAIN=TARGET[,TARGET]");
            continue;
        }
        add_line(c, "  - ", "address", address);
        text_add_cstr(c->yaml, "    targets:\n");
        for (bool more = true; more;) {
            targets = slice_cut(targets, ',', &target, &more);
            text_add_cstr(c->yaml, "      - ");
            text_add_yaml_quoted(c->yaml, slice_trim(target));
            text_add_byte(c->yaml, '\n');
        }
    }
}

/* --- routes ------------------------------------------------------------------------------------------------------- */

static void compose_route(struct composer *c, slice domains, const char *via, slice host)
{
    slice domain;
    text_add_cstr(c->yaml, "  - domains:\n");
    for (bool more = true; more;) {
        domains = slice_cut(domains, ',', &domain, &more);
        text_add_cstr(c->yaml, "      - ");
        text_add_yaml_quoted(c->yaml, domain);
        text_add_byte(c->yaml, '\n');
    }
    add_line(c, "    ", "via", slice_from_cstr(via));
    if (host.len)
        add_line(c, "    ", "host", host);
}

/* DOMAIN[,DOMAIN]=VIA[:HOST]; names of via that are none are the configuration's to refuse. */
static void compose_given_route(struct composer *c, const char *given)
{
    bool has_via, has_host;
    slice domains, via, host;
    slice rest = slice_cut(slice_from_cstr(given), '=', &domains, &has_via);
    host = slice_cut(rest, ':', &via, &has_host);
    if (!has_via || domains.len == 0)
        refuse(c, "--route", given, "DOMAIN[,DOMAIN]=VIA[:HOST] with VIA mx, smarthost, lmtp, capture or discard");
    else
        compose_route(c, domains, arena_cstr(&c->memory, via), host);
}

static void compose_routes(struct composer *c)
{
    const struct flags *f = c->flags;
    if (f->relay_to && f->capture) {
        fputs("postrider local: --capture and --relay-to contradict each other; give one of them\n", stderr);
        c->failed = true;
    }
    text_add_cstr(c->yaml, "routes:\n");
    for (size_t i = 0; i < f->routes.count; i++)
        compose_given_route(c, f->routes.items[i]);
    if (f->relay_to)
        compose_route(c, SLICE("*"), "smarthost", slice_from_cstr(f->relay_to));
    else if (f->dns && !f->capture)
        compose_route(c, SLICE("*"), "mx", SLICE(""));
    else
        compose_route(c, SLICE("*"), "capture", SLICE(""));
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static const char *flag_of_option(slice option)
{
    for (size_t i = 0; i < COUNT(singles); i++) {
        slice section = slice_from_cstr(singles[i].section), rest = option;
        if (section.len && slice_starts_with(option, section) && option.len > section.len &&
            option.ptr[section.len] == '.')
            rest = slice_tail(option, section.len + 1);
        else if (section.len)
            continue;
        if (slice_eq(rest, slice_from_cstr(singles[i].option)))
            return singles[i].flag;
    }
    for (size_t i = 0; i < COUNT(other_flags); i++)
        if (slice_eq(option, slice_from_cstr(other_flags[i].option)))
            return other_flags[i].flag;
    return NULL;
}

/* What the flags' own checks let through is judged by the rules for a file. */
static void check_text(struct composer *c)
{
    struct config_mistakes *mistakes = MEMORY_NEW(struct config_mistakes);
    struct config *config = config_read_text(text_slice(c->yaml), "flags", "", mistakes);
    for (size_t i = 0; i < mistakes->count; i++) {
        const struct config_mistake *m = &mistakes->items[i];
        const char *flag = flag_of_option(m->option);
        if (flag)
            fprintf(stderr, "postrider local: %s: " SLICE_FMT "\n", flag, SLICE_ARG(m->what));
        else
            fprintf(stderr, "postrider local: " SLICE_FMT "%s" SLICE_FMT "\n", SLICE_ARG(m->option),
                    m->option.len ? ": " : "", SLICE_ARG(m->what));
    }
    c->failed = c->failed || !config;
    config_release(config);
    config_mistakes_free(mistakes);
    memory_free(mistakes);
}

static bool compose(struct flags *flags, struct text *yaml)
{
    struct composer c = { .flags = flags, .yaml = yaml };
    set_presets(&c);
    compose_singles(&c);
    compose_relay_from(&c);
    compose_listeners(&c);
    compose_domains(&c);
    compose_users(&c);
    compose_aliases(&c);
    compose_routes(&c);
    if (!c.failed)
        check_text(&c);
    arena_free(&c.memory);
    return !c.failed;
}

static bool are_utf8(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!slice_is_utf8(slice_from_cstr(argv[i]))) {
            fprintf(stderr, "postrider local: argument %d is not UTF-8 text\n", i);
            return false;
        }
    }
    return true;
}

static void free_lists(struct flags *f)
{
    struct argument_list *lists[] = { &f->mx,      &f->submission, &f->smtps,  &f->domains, &f->users,
                                      &f->aliases, &f->relay_from, &f->routes, &f->set };
    for (size_t i = 0; i < COUNT(lists); i++)
        arguments_list_free(lists[i]);
}

bool local_make_config(int argc, char **argv, struct text *yaml, int *code)
{
    struct flags f = { 0 };
    const struct argument rows[] = {
        { "dir", 0, ARGUMENT_TEXT, &f.dir, "DIR",
          "spool, mailboxes, logs, keys (default ~/.local/state/postrider/local)" },
        { "hostname", 0, ARGUMENT_TEXT, &f.hostname, "NAME", "the server's name (default postrider.localhost)" },
        { "mx", 0, ARGUMENT_LIST, &f.mx, "ADDR:PORT", "listen for mail from other servers; a bare port is loopback" },
        { "submission", 0, ARGUMENT_LIST, &f.submission, "ADDR:PORT", "listen for mail from users (STARTTLS, AUTH)" },
        { "smtps", 0, ARGUMENT_LIST, &f.smtps, "ADDR:PORT", "the same with TLS from the first octet" },
        { "domain", 0, ARGUMENT_LIST, &f.domains, "NAME", "host this domain (repeatable)" },
        { "user", 0, ARGUMENT_LIST, &f.users, "NAME@DOMAIN:PASSWORD",
          "an account and mailbox; hosts the domain (repeatable)" },
        { "alias", 0, ARGUMENT_LIST, &f.aliases, "NAME@DOMAIN=TARGET,..", "an alias in a hosted domain (repeatable)" },
        { "capture", 0, ARGUMENT_FLAG, &f.capture, NULL,
          "keep outside mail in DIR/mail/captured/outside (the default)" },
        { "relay-to", 0, ARGUMENT_TEXT, &f.relay_to, "HOST:PORT", "hand all outside mail to this server" },
        { "dns", 0, ARGUMENT_TEXT, &f.dns, "ADDR:PORT",
          "deliver outside mail by MX, asking this server for every name" },
        { "mx-port", 0, ARGUMENT_TEXT, &f.mx_port, "PORT", "port for delivery by MX (default 25)" },
        { "route", 0, ARGUMENT_LIST, &f.routes, "DOMAIN,..=VIA[:HOST]",
          "mx, smarthost:HOST:PORT, lmtp:unix:PATH, capture, discard" },
        { "relay-from", 0, ARGUMENT_LIST, &f.relay_from, "CIDR",
          "clients that may relay without AUTH; none by default (repeatable)" },
        { "hold", 0, ARGUMENT_FLAG, &f.hold, NULL, "accept and queue, try nothing" },
        { "max-message-size", 0, ARGUMENT_TEXT, &f.max_message_size, "SIZE", "largest message (default 50M)" },
        { "retry-min", 0, ARGUMENT_TEXT, &f.retry_min, "DURATION",
          "first wait after a transient failure (default 5m)" },
        { "retry-max", 0, ARGUMENT_TEXT, &f.retry_max, "DURATION", "longest wait between attempts (default 4h)" },
        { "queue-lifetime", 0, ARGUMENT_TEXT, &f.queue_lifetime, "DURATION",
          "then a message is returned (default 5d)" },
        { "delay-warning", 0, ARGUMENT_TEXT, &f.delay_warning, "DURATION",
          "tell the sender once after this long (default 4h, 0s: never)" },
        { "idle-connection", 0, ARGUMENT_TEXT, &f.idle_connection, "DURATION",
          "keep outgoing connections open this long (default 5s)" },
        { "sync-delay", 0, ARGUMENT_TEXT, &f.sync_delay, "DURATION", "for tests: added to every fdatasync" },
        { "tls-cert", 0, ARGUMENT_TEXT, &f.tls_cert, "FILE", "certificate (default: a self-signed one is made)" },
        { "tls-key", 0, ARGUMENT_TEXT, &f.tls_key, "FILE", "its private key" },
        { "loops", 0, ARGUMENT_TEXT, &f.loops, "COUNT", "threads that carry mail (default: by the processors)" },
        { "log-text", 0, ARGUMENT_TEXT, &f.log_text, "none|important|all",
          "readable text on stderr (default important)" },
        { "set", 0, ARGUMENT_LIST, &f.set, "SECTION.OPTION=VALUE",
          "any other option of the file, as limits.max_errors=5" },
        { "print-config", 0, ARGUMENT_FLAG, &f.print_config, NULL,
          "print the configuration the flags stand for, and end" },
    };
    const struct arguments arguments = {
        .usage = "local [OPTION...]",
        .about = "A complete server from flags alone, for development and tests: nothing leaves the machine unless\n"
                 "--relay-to or --dns says so. Prints `ready` when it accepts; ends with Ctrl-C. Without --mx,\n"
                 "--submission and --smtps it listens on loopback ports 2525, 2587 and 2465.",
        .rows = rows,
        .count = COUNT(rows),
        .examples = "  postrider local --user ann@example.test:secret\n"
                    "  postrider local --mx 2525 --domain example.test --alias info@example.test=ann@example.test\n"
                    "  postrider local --relay-to 127.0.0.1:1025 --relay-from 127.0.0.0/8\n"
                    "  postrider local --user ann@example.test:secret --print-config > postrider.yaml\n",
    };
    bool runs = arguments_read(&arguments, argc, argv, code);
    if (runs && (!are_utf8(argc, argv) || !compose(&f, yaml))) {
        fputs("Try: postrider local --help\n", stderr);
        *code = EX_USAGE;
        runs = false;
    }
    if (runs && f.print_config) {
        fwrite(yaml->ptr, 1, yaml->len, stdout);
        *code = EXIT_SUCCESS;
        runs = false;
    }
    free_lists(&f);
    return runs;
}
