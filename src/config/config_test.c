#include "base/memory.h"
#include "config/config.h"
#include "config/table.h"
#include "config/value.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct config_mistakes *mistakes;
static char folder[64];

static int set_up(void **state)
{
    (void)state;
    mistakes = MEMORY_NEW(struct config_mistakes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_mistakes_free(mistakes);
    memory_free(mistakes);
    return 0;
}

/* All mistakes, a line each. */
static void add_mistakes(struct text *text)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        text_add_config_mistake(text, &mistakes->items[i]);
        text_add_byte(text, '\n');
    }
}

static struct config *read_fine(slice yaml)
{
    struct config *config = config_read_text(yaml, "test.yaml", folder, mistakes);
    struct text said = { 0 };
    add_mistakes(&said);
    if (!config)
        fail_msg("%s in:\n" SLICE_FMT, text_cstr(&said), SLICE_ARG(yaml));
    assert_int_equal(mistakes->count, 0);
    text_free(&said);
    return config;
}

/* --- mistakes ----------------------------------------------------------------------------------------------------- */

#define H "hostname: a.org\n" /* spares the question for the machine's own name */

#define PEM_CERTIFICATE "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"
#define PEM_KEY         "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n"

static const struct {
    const char *name;
    slice yaml;
    const char *said; /* NULL: none; else how the only mistake begins */
} rows[] = {
    { "empty", LIT(H), NULL },
    { "empty sections", LIT(H "tls:\nlimits: {}\nroutes:\ndomains: []\naccounts: ~\naliases: null\n"), NULL },
    { "byte order mark", LIT("\xef\xbb\xbf" H), NULL },
    { "CRLF", LIT("hostname: a.org\r\nlimits:\r\n  max_errors: 3\r\n"), NULL },
    { "document marks", LIT("---\n" H "...\n"), NULL },
    { "not a mapping", LIT("- a\n"), "t:1:1: expected options and sections" },
    { "plain text", LIT("hello\n"), "t:1:1: expected options and sections" },
    { "unknown option", LIT(H "hostnme: b\n"), "t:2:1: hostnme: unknown option; did you mean hostname?" },
    { "unknown section", LIT(H "limit:\n  max_errors: 3\n"), "t:2:1: limit: unknown option; did you mean limits?" },
    { "unknown in section", LIT(H "limits:\n  max_mesage_size: 1M\n"),
      "t:3:3: limits.max_mesage_size: unknown option; did you mean max_message_size?" },
    { "nothing near", LIT(H "xyzzy: 1\n"), "t:2:1: xyzzy: unknown option\n" },
    { "of another section", LIT(H "queue_lifetime: 3d\n"),
      "t:2:1: queue_lifetime: unknown option; there is one of that name in retry" },
    { "of the top", LIT(H "limits:\n  relay_from: 10.0.0.0/8\n"),
      "t:3:3: limits.relay_from: unknown option; there is one of that name in the top of the file" },
    { "section indented", LIT(H "limits:\n  domains:\n"),
      "t:3:3: limits.domains: unknown option; a section of that name" },
    { "option twice", LIT(H H), "t:2:1: hostname: is given twice; the first is at t:1" },
    { "section twice", LIT(H "log: {}\nlog: {}\n"), "t:3:1: log: is given twice; the first is at line 2" },
    { "include twice", LIT(H "include: []\ninclude: []\n"), "t:3:1: include: is given twice" },
    { "odd key", LIT(H "? [a]\n: b\n"), "t:2:3: expected the name of an option" },
    { "NUL in a key", LIT(H "\"host\\0name\": b\n"), "t:2:1: host?name: unknown option" },
    { "long key",
      LIT(H "? aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n: "
            "1\n"),
      "t:2:3: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: unknown option" },
    { "list for section", LIT(H "limits:\n  - a\n"), "t:3:3: limits: expected options (name: value), found a list" },
    { "value for section", LIT(H "limits: 5\n"), "t:2:9: limits: expected options (name: value), found a plain value" },
    { "mapping for list", LIT(H "domains:\n  name: a.org\n"), "t:3:3: domains: expected a list" },
    { "value in list", LIT(H "domains:\n  - a.org\n"), "t:3:5: domains: expected an item with options" },
    { "list for value", LIT(H "loops: [1]\n"), "t:2:8: loops: expected a whole number, found a list" },
    { "mapping for value", LIT(H "loops: {a: 1}\n"), "t:2:8: loops: expected a whole number, found options" },
    { "no value", LIT(H "loops:\n"), "t:2:7: loops: has no value; expected a whole number" },
    { "list in list", LIT(H "relay_from: [[10.0.0.0/8]]\n"), "t:2:14: relay_from: expected a network" },

    { "number", LIT(H "loops: 2\n"), NULL },
    { "number in quotes", LIT(H "loops: \"2\"\n"), NULL },
    { "number with unit", LIT(H "loops: 2M\n"), "t:2:8: loops: expected a whole number, found \"2M\"" },
    { "negative", LIT(H "loops: -1\n"), "t:2:8: loops: expected a whole number" },
    { "too large", LIT(H "loops: 65537\n"), "t:2:8: loops: must be at least 0, at most " },
    { "overflow", LIT(H "loops: 99999999999999999999999\n"), "t:2:8: loops: expected a whole number" },
    { "duration", LIT(H "retry: {first: 1m30s}\n"), NULL },
    { "duration zero", LIT(H "retry: {delay_warning: 0}\n"), NULL },
    { "duration without unit", LIT(H "retry: {first: 300}\n"),
      "t:2:16: retry.first: expected a duration such as 5d, 1h30m, 90s or 250ms, found \"300\"; a unit is missing" },
    { "duration too long", LIT(H "retry: {queue_lifetime: 31d}\n"),
      "t:2:25: retry.queue_lifetime: must be at least 1s, at most 30d; found 31d" },
    { "size", LIT(H "limits: {max_message_size: 25MiB}\n"), NULL },
    { "size too small", LIT(H "limits: {max_message_size: 1K}\n"),
      "t:2:28: limits.max_message_size: must be at least 64K, at most 1G; found 1K" },
    { "size with decimals", LIT(H "limits: {max_message_size: 2.5M}\n"),
      "t:2:28: limits.max_message_size: expected a size" },
    { "yes", LIT(H "delivery: {hold: yes}\n"), "t:2:18: delivery.hold: expected true or false; write true" },
    { "maybe", LIT(H "delivery: {hold: maybe}\n"), "t:2:18: delivery.hold: expected true or false, found \"maybe\"" },
    { "word", LIT(H "log: {text: al}\n"),
      "t:2:13: log.text: expected none, important or all, found \"al\"; did you mean all?" },
    { "name", LIT("hostname: MAIL.A.org\n"), NULL },
    { "name with underscore", LIT("hostname: my_host.org\n"),
      "t:1:11: hostname: expected a domain name such as mail.example.org; \"my_host.org\" has a character" },
    { "address as name", LIT("hostname: 127.0.0.1\n"),
      "t:1:11: hostname: expected a domain name such as mail.example.org; \"127.0.0.1\" ends in a number" },
    { "empty label", LIT("hostname: a..org\n"),
      "t:1:11: hostname: expected a domain name such as mail.example.org; \"a..org\" has an empty label" },
    { "dot at the end", LIT("hostname: a.org.\n"), "t:1:11: hostname: expected" },
    { "hyphen", LIT("hostname: -a.org\n"), "t:1:11: hostname: expected" },
    { "not ASCII",
      LIT("hostname: b\xc3\xbc"
          "cher.org\n"),
      "t:1:11: hostname: expected a domain name such as mail.example.org; \"b\xc3\xbc"
      "cher.org\" has characters outside ASCII; write the name in its xn-- form" },
    { "line break in text", LIT(H "user_mta: \"a\\nb\"\n"), "t:2:11: user_mta: line breaks and control characters" },
    { "empty text", LIT(H "user_mta: \"\"\n"), "t:2:11: user_mta: must not be empty" },
    { "empty dir", LIT(H "dir: \"\"\n"), "t:2:6: dir: must not be empty" },
    { "dir with content", LIT(H "dir: {content: x}\n"), "t:2:6: dir: expected the path of a file, found options" },
    { "network", LIT(H "relay_from: [10.0.0.0/8, \"::1\"]\n"), NULL },
    { "host bits", LIT(H "relay_from: 10.0.0.1/8\n"),
      "t:2:13: relay_from: expected a network such as 192.0.2.0/24 or 2001:db8::/32, found \"10.0.0.1/8\"; the bits "
      "behind" },
    { "no network", LIT(H "relay_from: [x]\n"), "t:2:14: relay_from: expected a network" },

    { "listener", LIT(H "listeners:\n  - {role: mx, address: [\"0.0.0.0:25\", \"[::]:25\"]}\n"), NULL },
    { "listener without role", LIT(H "listeners:\n  - address: 0.0.0.0:25\n"),
      "t:3:5: listeners.role: is missing: mx (port 25)" },
    { "listener without address", LIT(H "listeners:\n  - role: mx\n"), "t:3:5: listeners.address: is missing" },
    { "listener with no addresses", LIT(H "listeners:\n  - {role: mx, address: []}\n"),
      "t:3:25: listeners.address: the list is empty" },
    { "bare port", LIT(H "listeners:\n  - {role: mx, address: 25}\n"),
      "t:3:25: listeners.address: expected ADDR:PORT such as 192.0.2.1:25 or \"[2001:db8::1]:25\", found \"25\"; for "
      "every address" },
    { "star", LIT(H "listeners:\n  - {role: mx, address: \"*:25\"}\n"),
      "t:3:25: listeners.address: expected ADDR:PORT such as 192.0.2.1:25 or \"[2001:db8::1]:25\", found \"*:25\"; for "
      "every address" },
    { "localhost", LIT(H "listeners:\n  - {role: mx, address: localhost:25}\n"),
      "t:3:25: listeners.address: expected ADDR:PORT such as 192.0.2.1:25 or \"[2001:db8::1]:25\", found "
      "\"localhost:25\"; write 127.0.0.1" },
    { "no port", LIT(H "listeners:\n  - {role: mx, address: 127.0.0.1}\n"),
      "t:3:25: listeners.address: expected ADDR:PORT such as 192.0.2.1:25 or \"[2001:db8::1]:25\", found "
      "\"127.0.0.1\"; the port is missing" },
    { "port 0", LIT(H "listeners:\n  - {role: mx, address: 127.0.0.1:0}\n"),
      "t:3:25: listeners.address: expected ADDR:PORT" },
    { "address twice",
      LIT(H "listeners:\n  - {role: mx, address: 0.0.0.0:25}\n  - {role: submission, address: 0.0.0.0:25}\n"),
      "t:4:33: listeners.address: \"0.0.0.0:25\" is given twice; the first is at t:3" },
    { "address twice, written differently",
      LIT(H "listeners:\n  - {role: mx, address: [\"[::1]:25\", \"[0:0::1]:25\"]}\n"),
      "t:3:25: listeners.address: \"[::1]:25\" is given twice" },
    { "same name, other role",
      LIT(H "listeners:\n  - {role: mx, address: 0.0.0.0:25, name: x}\n  - {role: submission, address: 0.0.0.0:26, "
            "name: x}\n"),
      "t:4:51: listeners.name: a listener of another role" },
    { "name of the control socket", LIT(H "listeners:\n  - {role: mx, address: 0.0.0.0:25, name: control}\n"),
      "t:3:43: listeners.name: the name \"control\" is taken" },

    { "domain twice", LIT(H "domains: [{name: a.org}, {name: A.ORG}]\n"),
      "t:2:33: domains.name: \"a.org\" is given twice; the first is at t:2" },
    { "domain without name", LIT(H "domains: [{}]\n"), "t:2:11: domains.name: is missing" },
    { "catch-all without domain", LIT(H "domains: [{name: a.org, catch_all: ann}]\n"),
      "t:2:36: domains.catch_all: expected an address, name@domain, found \"ann\": the @ is missing" },
    { "catch-all at a bad domain", LIT(H "domains: [{name: a.org, catch_all: ann@b_c}]\n"),
      "t:2:36: domains.catch_all: expected an address, name@domain, found \"ann@b_c\": the domain has a character" },
    { "extension",
      LIT(H "domains: [{name: a.org, address_extension: \"-\"}, {name: b.org, address_extension: \"\"}]\n"), NULL },
    { "extension of two", LIT(H "domains: [{name: a.org, address_extension: \"+-\"}]\n"),
      "t:2:44: domains.address_extension: expected one of" },
    { "alias", LIT(H "domains: [{name: a.org}]\naliases: [{address: i@A.org, targets: [a@a.org, '\"o x\"@b.net']}]\n"),
      NULL },
    { "alias elsewhere",
      LIT(H "domains: [{name: example.org}]\naliases: [{address: i@exmple.org, targets: a@a.org}]\n"),
      "t:3:21: aliases.address: exmple.org is not among the domains; did you mean example.org?" },
    { "alias twice",
      LIT(H "domains: [{name: a.org}]\naliases: [{address: i@a.org, targets: a@a.org}, {address: i@A.ORG, targets: "
            "b@a.org}]\n"),
      "t:3:59: aliases.address: \"i@a.org\" is given twice" },
    { "alias target", LIT(H "domains: [{name: a.org}]\naliases: [{address: i@a.org, targets: [a b@a.org]}]\n"),
      "t:3:39: aliases.targets: expected an address, name@domain, found \"a b@a.org\": before the @ stands a "
      "character" },
    { "alias without targets", LIT(H "domains: [{name: a.org}]\naliases: [{address: i@a.org}]\n"),
      "t:3:11: aliases.targets: is missing" },

    { "account", LIT(H "accounts: [{address: ann@a.org, password: x}]\n"), NULL },
    { "account with hash", LIT(H "accounts: [{address: ann@a.org, password_hash: $y$j9T$x}]\n"), NULL },
    { "account locked", LIT(H "accounts: [{address: ann@a.org, password_hash: \"*\"}]\n"), NULL },
    { "account without password", LIT(H "accounts: [{address: ann@a.org}]\n"),
      "t:2:12: accounts.password: is missing: an account needs" },
    { "account with both", LIT(H "accounts: [{address: ann@a.org, password: x, password_hash: $y$z}]\n"),
      "t:2:43: accounts.password: is given together" },
    { "password as hash", LIT(H "accounts: [{address: ann@a.org, password_hash: secret}]\n"),
      "t:2:48: accounts.password_hash: is not a crypt(5) hash" },
    { "account twice", LIT(H "accounts: [{address: ann@a.org, password: x}, {address: ann@a.org, password: y}]\n"),
      "t:2:57: accounts.address: \"ann@a.org\" is given twice" },
    { "account name", LIT(H "accounts: [{address: ann, password: x}]\n"),
      "t:2:22: accounts.address: expected an address" },
    { "account as a path", LIT(H "accounts: [{address: a/b@a.org, password: x}]\n"),
      "t:2:22: accounts.address: a mailbox is a folder" },
    { "unset variable", LIT(H "accounts: [{address: ann@a.org, password: \"${POSTRIDER_UNSET_X}\"}]\n"),
      "t:2:43: accounts.password: the environment variable POSTRIDER_UNSET_X is not set" },
    { "secret file not there", LIT(H "accounts: [{address: ann@a.org, password: {file: /nonexistent/x}}]\n"),
      "t:2:50: accounts.password: /nonexistent/x cannot be opened: No such file" },
    { "secret of unknown form", LIT(H "accounts: [{address: ann@a.org, password: {fil: x}}]\n"),
      "t:2:44: accounts.password: expected a text, ${ENV} or {file: PATH}" },
    { "secret of no form", LIT(H "accounts: [{address: ann@a.org, password: {}}]\n"),
      "t:2:43: accounts.password: expected a text" },
    { "secret with line break", LIT(H "accounts: [{address: ann@a.org, password: \"a\\nb\"}]\n"),
      "t:2:43: accounts.password: the text holds line breaks" },

    { "routes",
      LIT(H "routes:\n  - {domains: \"*\", via: mx}\n  - {domains: [a.org, .b.org], via: lmtp, host: unix:/run/x}\n"),
      NULL },
    { "star without quotes", LIT(H "routes:\n  - domains: *\n    via: mx\n"),
      "t:3:15: not YAML: while scanning an alias, did not find expected alphabetic or numeric character; a value that "
      "begins with * needs quotes" },
    { "route with wildcard", LIT(H "routes: [{domains: \"*.a.org\", via: mx}]\n"),
      "t:2:20: routes.domains: \"*.a.org\" is written without the *: .example.org means" },
    { "route by address", LIT(H "routes: [{domains: a@b.org, via: mx}]\n"),
      "t:2:20: routes.domains: \"a@b.org\" is an address; routes go by domains" },
    { "route twice", LIT(H "routes:\n  - {domains: a.org, via: mx}\n  - {domains: A.org, via: discard}\n"),
      "t:4:15: routes.domains: \"A.org\" has no effect here: a route for it stands at t:3" },
    { "route of unknown kind", LIT(H "routes: [{domains: a.org, via: smart_host}]\n"),
      "t:2:32: routes.via: expected mx, smarthost, lmtp, capture or discard, found \"smart_host\"; did you mean "
      "smarthost?" },
    { "smarthost without host", LIT(H "routes: [{domains: a.org, via: smarthost}]\n"),
      "t:2:10: routes.host: is missing: a smarthost needs HOST:PORT" },
    { "smarthost without port", LIT(H "routes: [{domains: a.org, via: smarthost, host: b.org}]\n"),
      "t:2:49: routes.host: expected HOST:PORT, found \"b.org\": the port is missing" },
    { "smarthost with a bad name", LIT(H "routes: [{domains: a.org, via: smarthost, host: \"b_:25\"}]\n"),
      "t:2:49: routes.host: expected HOST:PORT, found \"b_:25\": the name has a character" },
    { "smarthost by socket", LIT(H "routes: [{domains: a.org, via: smarthost, host: unix:/x}]\n"),
      "t:2:49: routes.host: unix:PATH is only for lmtp" },
    { "relative socket", LIT(H "routes: [{domains: a.org, via: lmtp, host: unix:x}]\n"),
      "t:2:44: routes.host: expected unix: and an absolute path" },
    { "host without use", LIT(H "routes: [{domains: a.org, via: mx, host: b.org:25}]\n"),
      "t:2:42: routes.host: is only for smarthost and lmtp" },
    { "password without TLS",
      LIT(H "routes: [{domains: a.org, via: smarthost, host: b.org:25, username: u, password: p}]\n"),
      "t:2:10: routes.tls: a password is never sent without TLS" },
    { "password with TLS",
      LIT(H "routes: [{domains: a.org, via: smarthost, host: b.org:25, username: u, password: p, tls: verified}]\n"),
      NULL },
    { "username alone",
      LIT(H "routes: [{domains: a.org, via: smarthost, host: b.org:25, username: u, tls: verified}]\n"),
      "t:2:10: routes.password: is missing" },
    { "password alone",
      LIT(H "routes: [{domains: a.org, via: smarthost, host: b.org:25, password: u, tls: verified}]\n"),
      "t:2:10: routes.username: is missing" },
    { "username without smarthost", LIT(H "routes: [{domains: a.org, via: mx, username: u, password: p}]\n"),
      "t:2:46: routes.username: is only for smarthost" },
    { "authorities without use",
      LIT(H "routes: [{domains: a.org, via: mx, ca_file: {file: x, content: \"" PEM_CERTIFICATE "\"}}]\n"),
      "t:2:45: routes.ca_file: has no effect" },
    { "authorities without certificate",
      LIT(H "routes: [{domains: a.org, via: mx, tls: verified, ca_file: {content: y}}]\n"),
      "t:2:70: routes.ca_file: nothing in PEM form" },
    { "key as authorities",
      LIT(H "routes: [{domains: a.org, via: mx, tls: verified, ca_file: {content: \"" PEM_KEY "\"}}]\n"),
      "t:2:60: routes.ca_file: no certificate" },
    { "capture mailbox as a path", LIT(H "routes: [{domains: a.org, via: capture, mailbox: a/../../b@x.org}]\n"),
      "t:2:50: routes.mailbox: expected an address, name@domain, found \"a/../../b@x.org\": before the @ stands a "
      "dot" },
    { "capture mailbox", LIT(H "routes: [{domains: a.org, via: capture, mailbox: x}]\n"),
      "t:2:50: routes.mailbox: expected an address" },

    { "certificate not there", LIT(H "tls: {certificate: /nonexistent/x}\n"),
      "t:2:20: tls.certificate: /nonexistent/x cannot be opened" },
    { "certificate is a folder", LIT(H "tls: {certificate: /}\n"),
      "t:2:20: tls.certificate: / cannot be read: it is a folder" },
    { "certificate is none", LIT(H "tls: {certificate: /etc/passwd}\n"),
      "t:2:20: tls.certificate: nothing in PEM form" },
    { "key as certificate", LIT(H "tls: {certificate: {content: \"" PEM_KEY "\"}}\n"),
      "t:2:20: tls.certificate: no certificate" },
    { "certificate as key",
      LIT(H "tls: {certificate: {content: \"" PEM_CERTIFICATE "\"}, key: {content: \"" PEM_CERTIFICATE "\"}}\n"),
      "t:2:102: tls.key: no private key" },
    { "both in one", LIT(H "tls: {certificate: {content: \"" PEM_CERTIFICATE PEM_KEY "\"}}\n"), NULL },
    { "certificate without key",
      LIT(H "tls: {certificate: {content: \"-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----\\n\"}}\n"),
      "t:2:6: tls.key: is missing" },
    { "key without certificate", LIT(H "tls: {key: {content: \"-----BEGIN PRIVATE KEY-----\"}}\n"),
      "t:2:6: tls.certificate: is missing: there is a key" },
    { "retry", LIT(H "retry: {first: 1h, longest: 1m}\n"),
      "t:2:16: retry.first: the first wait is longer than retry.longest (1m)" },
    { "segments", LIT(H "spool: {segment_size: 1M}\n"),
      "t:2:8: spool.large_message: is larger than half of spool.segment_size" },
    { "dns", LIT(H "dns: {server: resolver.org}\n"), "t:2:15: dns.server: expected ADDR:PORT" },
    { "source", LIT(H "delivery: {source_v4: \"::1\"}\n"), "t:2:23: delivery.source_v4: expected an IPv4 address" },

    { "not UTF-8", LIT("hostname: a.org\nx: \xc3\xa4\xff\n"), "t:2:5: this octet (0xff) is not UTF-8" },
    { "UTF-16", LIT("\xff\xfeh\0o\0"), "t:1:1: this octet (0xff) is not UTF-8" },
    { "NUL", LIT("hostname: a\0b\n"), "t:1:12: not YAML: control characters are not allowed" },
    { "tab", LIT(H "limits:\n\tmax_errors: 3\n"),
      "t:3:1: not YAML: while scanning for the next token, found character that cannot start any token; indent with "
      "spaces" },
    { "at sign", LIT(H "user_mta: @x\n"),
      "t:2:11: not YAML: while scanning for the next token, found character that cannot start any token; a value that "
      "begins with @" },
    { "IPv6 without quotes", LIT(H "listeners: [{role: mx, address: [2001:db8::1]:25}]\n"),
      "t:2:34: listeners.address: expected ADDR:PORT such as 192.0.2.1:25 or \"[2001:db8::1]:25\", found "
      "\"2001:db8::1\"; the port "
      "is missing (an IPv6 address stands in brackets before it)\nt:2:46: not YAML: while parsing a flow mapping, did "
      "not find expected ',' or '}'; an IPv6 address needs "
      "quotes" },
    { "variable in braces", LIT(H "accounts: [{address: a@a.org, password: ${X}}]\n"),
      "t:2:42: not YAML: while parsing a flow mapping, did not find expected ',' or '}'; ${NAME} inside { } needs "
      "quotes" },
    { "colon in text", LIT(H "user_mta: a: b\n"),
      "t:2:12: not YAML: mapping values are not allowed in this context; is the line before complete" },
    { "open quotes", LIT(H "user_mta: \"a\n"),
      "t:3:1: not YAML: while scanning a quoted scalar, found unexpected end of stream" },
    { "anchor", LIT(H "user_mta: &x a\n"), "t:2:11: anchors (&name) are not supported" },
    { "alias of YAML", LIT(H "limits: *x\n"), "t:2:9: aliases (*name) are not supported" },
    { "tag", LIT(H "user_mta: !!str a\n"), "t:2:11: tags (!name) are not supported" },
    { "merge key", LIT(H "<<: {a: b}\n"), "t:2:1: <<: unknown option" },
    { "two documents", LIT(H "---\n" H), "t:2:1: a second document (---) is not supported" },
    { "deep", LIT(H "x: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
      "t:2:1: x: unknown option\nt:2:19: nested too deeply" },
    { "include without value", LIT(H "include:\n"), "t:2:9: include: expected the path of a file" },
    { "include not there", LIT(H "include: /nonexistent/x.yaml\n"),
      "t:2:10: include: /nonexistent/x.yaml cannot be opened" },
};

static void test_mistakes(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text said = { 0 };
        config_mistakes_free(mistakes);
        struct config *config = config_read_text(rows[i].yaml, "t", "/nonexistent", mistakes);
        add_mistakes(&said);
        slice expected = slice_from_cstr(rows[i].said);
        bool is_only = mistakes->count <= 1 || slice_find_byte(expected, '\n') != SLICE_NOT_FOUND;
        if (!config != (rows[i].said != NULL) || !slice_starts_with(text_slice(&said), expected) || !is_only) {
            wrong++;
            print_error("%s:\n%s\nexpected: %s\n", rows[i].name, text_cstr(&said),
                        rows[i].said ? rows[i].said : "nothing");
        }
        text_free(&said);
        config_release(config);
    }
    assert_int_equal(wrong, 0);
}

/* Every one is told, in the order of the places. */
static void test_all_mistakes(void **state)
{
    (void)state;
    slice yaml = SLICE("retry: {first: 9h, longest: 1h}\nloops: x\nhostname: _\nlimits: {max_errors: 0, max_eror: "
                       "1}\ndomains: [{}]\n");
    struct text said = { 0 };
    assert_null(config_read_text(yaml, "t", "", mistakes));
    add_mistakes(&said);
    const char *places[] = { "t:1:16: ", "t:2:8: ", "t:3:11: ", "t:4:22: ", "t:4:25: ", "t:5:11: " };
    slice rest = text_slice(&said), line;
    for (size_t i = 0; i < COUNT(places); i++) {
        assert_true(slice_next_line(&rest, &line));
        assert_true(slice_starts_with(line, slice_from_cstr(places[i])));
    }
    assert_int_equal(mistakes->count, COUNT(places));
    text_free(&said);
}

static void test_too_many_mistakes(void **state)
{
    (void)state;
    struct text yaml = { 0 };
    for (int i = 0; i < 1000; i++)
        text_add_format(&yaml, "x%d: 1\n", i);
    assert_null(config_read_text(text_slice(&yaml), "t", "", mistakes));
    assert_int_equal(mistakes->count, CONFIG_MISTAKES_MAX);
    assert_true(
        slice_eq(mistakes->items[CONFIG_MISTAKES_MAX - 1].what, SLICE("there are more mistakes than are shown here")));
    text_free(&yaml);
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static void test_values(void **state)
{
    (void)state;
    struct config *c =
        read_fine(SLICE("hostname: MX.Example.org\nloops: 3\nrelay_from: [10.0.0.0/8, \"2001:db8::/32\"]\n"
                        "limits: {max_message_size: 25M, command_timeout: 1m30s}\nretry: {first: 250ms}\n"
                        "delivery: {hold: true}\nlog: {text: none}\n"
                        "listeners: [{role: submissions, address: \"[::1]:465\"}]\n"
                        "domains: [{name: A.org, catch_all: Ann@A.ORG}]\n"
                        "aliases: [{address: Info@A.org, targets: [Bob@A.org, x@B.net]}]\n"
                        "accounts: [{address: Ann@A.org, password: \"$x\"}]\n"
                        "routes: [{domains: [B.net, \"*\"], via: smarthost, host: Relay.net:25}]\n"));
    assert_true(slice_eq(c->hostname, SLICE("mx.example.org")));
    assert_true(slice_eq(c->dir, SLICE("/var/lib/postrider")));
    assert_int_equal(c->loops, 3);
    assert_int_equal(c->relay_from.count, 2);
    assert_int_equal(c->limits.max_message_size, 25 * 1024 * 1024);
    assert_int_equal(c->limits.command_timeout, 90000);
    assert_int_equal(c->limits.max_recipients, 1000);
    assert_int_equal(c->retry.first, 250);
    assert_int_equal(c->retry.queue_lifetime, 5ull * 24 * 3600 * 1000);
    assert_true(c->delivery.hold);
    assert_int_equal(c->log.text, LOG_NONE);
    assert_int_equal(c->listener_count, 1);
    assert_int_equal(c->listeners[0].role, ROLE_SUBMISSIONS);
    assert_true(slice_eq(c->listeners[0].name, SLICE("submissions")));
    assert_true(slice_eq(c->listeners[0].address.items[0], SLICE("[::1]:465")));
    assert_true(slice_eq(c->domains[0].name, SLICE("a.org")) && slice_eq(c->domains[0].catch_all, SLICE("Ann@a.org")));
    assert_true(slice_eq(c->domains[0].address_extension, SLICE("+")));
    assert_true(slice_eq(c->aliases[0].address, SLICE("Info@a.org")) && c->aliases[0].targets.count == 2);
    assert_true(slice_eq(c->aliases[0].targets.items[1], SLICE("x@b.net")));
    assert_true(slice_eq(c->accounts[0].password, SLICE("$x")));
    assert_int_equal(c->routes[0].via, ROUTE_SMARTHOST);
    assert_int_equal(c->routes[0].tls, TLS_OPPORTUNISTIC);
    assert_ptr_equal(config_find_route(c, SLICE("b.NET")), &c->routes[0]);
    assert_ptr_equal(config_find_route(c, SLICE("other")), &c->routes[0]);
    assert_null(config_find_exact_route(c, SLICE("other")));
    assert_ptr_equal(config_hold(c), c);
    config_release(c);
    config_release(c);
}

/* The machine's own name, whatever it is, is a name. */
static void test_own_hostname(void **state)
{
    (void)state;
    struct config *c = config_read_text(SLICE(""), "t", "", mistakes);
    if (c)
        assert_true(c->hostname.len > 0 && host_name_is_valid(c->hostname, NULL));
    else
        assert_true(slice_eq(mistakes->items[0].option, SLICE("hostname")));
    config_release(c);
}

/* --- the table and the round trip --------------------------------------------------------------------------------- */

#define EACH_OPTION(s, o)                                                                                              \
    for (const struct section *s = config_sections; s < config_sections + SECTIONS; s++)                               \
        for (const struct option *o = s->options; o < s->options + s->option_count; o++)

static void test_table(void **state)
{
    (void)state;
    struct arena memory = { 0 };
    EACH_OPTION(section, o)
    {
        uint64_t space[4] = { 0 };
        struct text why = { 0 };
        const char *given[] = { o->preset, o->lowest, o->highest };
        for (size_t i = 0; i < COUNT(given); i++)
            if (given[i] && !option_is_list(o) && !value_parse(o, slice_from_cstr(given[i]), &memory, space, &why))
                fail_msg(SLICE_FMT "." SLICE_FMT ": \"%s\" " SLICE_FMT, SLICE_ARG(section->name), SLICE_ARG(o->name),
                         given[i], SLICE_ARG(text_slice(&why)));
        assert_true(o->manual && *o->manual);
        assert_true(!option_is_list(o) || !o->preset || !*o->preset); /* lists have no preset but the empty one */
        text_free(&why);
    }
    arena_free(&memory);
}

/* A value that differs from the preset, and what else the section then needs. NULL: by the type. */
static const struct {
    const char *option, *value, *also;
} samples[] = {
    { "listeners.role", "submission", NULL },
    { "tls.certificate", "{file: /x/c.pem, content: \"" PEM_CERTIFICATE "\"}", "key: {content: \"" PEM_KEY "\"}" },
    { "tls.key", "{file: /x/k.pem, content: \"" PEM_KEY "\"}", "certificate: {content: \"" PEM_CERTIFICATE "\"}" },
    { "domains.catch_all", "o'neill+x@a.org", NULL },
    { "domains.address_extension", "\"\"", NULL },
    { "domains.alias_file", "{content: \"# \\x85\\u2028\\uFEFF\\U0001F600\\tx \\\"\\\\ \\r\\n\\e\\x7f \"}", NULL },
    { "aliases.address", "other@a.org", NULL },
    { "aliases.targets", "[b@b.org, c@c.org]", NULL },
    { "accounts.address", "other@a.org", NULL },
    { "accounts.password_hash", "\"${x\"", NULL },
    { "routes.domains", "[\"*\", .b.org]", NULL },
    { "routes.via", "discard", NULL },
    { "routes.host", "\"[::1]:25\"", "via: smarthost" },
    { "routes.tls", "none", NULL },
    { "routes.ca_file", "{file: /x, content: \"" PEM_CERTIFICATE "\"}", "tls: verified" },
    { "routes.username", "u", "{via: smarthost, host: \"h:1\", password: p, tls: implicit}" },
    { "routes.password", "{text: \"${HOME}\"}", "{via: smarthost, host: \"h:1\", username: u, tls: required}" },
    { "routes.mailbox", "a@b", NULL },
    { "dns.server", "127.0.0.1:53", NULL },
    { "log.text", "all", NULL },
    { "delivery.source_v4", "192.0.2.1", NULL },
    { "delivery.source_v6", "\"2001:db8::1\"", NULL },
    { "retry.first", "7m", NULL },
    { "spool.segment_size", "128M", NULL },
    { "spool.large_message", "2M", NULL },
};

static const char *sample_by_type(const struct option *o)
{
    switch (o->type) {
    case OPTION_BOOL:
        return strcmp(o->preset, "true") == 0 ? "false" : "true";
    case OPTION_NAME:
        return "other.org";
    case OPTION_FILE:
        return "/other";
    case OPTION_ADDRESSES:
        return "[\"[::1]:26\", 127.0.0.1:27]";
    case OPTION_NETWORKS:
        return "[10.0.0.0/8]";
    case OPTION_SECRET:
        return "\"s e\\u00e4\\u0022c\"";
    case OPTION_TEXT:
        return "other";
    default:
        return strcmp(o->preset, o->highest) == 0 ? o->lowest : o->highest;
    }
}

/* What an item must have besides: unless it is what is being tested. */
static const struct {
    const char *section, *name, *line;
} needed[] = {
    { "listeners", "role", "mx" },       { "listeners", "address", "0.0.0.0:25" }, { "domains", "name", "a.org" },
    { "aliases", "address", "i@a.org" }, { "aliases", "targets", "a@a.org" },      { "accounts", "address", "a@a.org" },
    { "accounts", "password", "p" },     { "routes", "domains", "d.org" },         { "routes", "via", "mx" },
};

static void add_option_line(struct text *yaml, bool is_top, const char *name, const char *value)
{
    text_add_format(yaml, "%s%s: %s\n", is_top ? "" : "    ", name, value);
}

/* "key: value", or several in braces. */
static void add_more(struct text *yaml, const char *also)
{
    slice rest = slice_from_cstr(also), part;
    if (also[0] != '{') {
        text_add_format(yaml, "    %s\n", also);
        return;
    }
    rest = slice_tail(slice_head(rest, rest.len - 1), 1);
    for (bool more = true; more;) {
        rest = slice_cut(rest, ',', &part, &more);
        text_add_format(yaml, "    " SLICE_FMT "\n", SLICE_ARG(slice_trim(part)));
    }
}

static void compose_sample(struct text *yaml, const struct section *section, const struct option *o, bool with_option)
{
    bool is_top = section->name.len == 0;
    const char *value = NULL, *also = NULL;
    struct text path = { 0 };
    text_add_format(&path, SLICE_FMT "." SLICE_FMT, SLICE_ARG(section->name), SLICE_ARG(o->name));
    for (size_t i = 0; i < COUNT(samples); i++) {
        if (strcmp(samples[i].option, text_cstr(&path)) == 0) {
            value = samples[i].value;
            also = samples[i].also;
        }
    }
    if (!slice_eq(o->name, SLICE("hostname")) || !with_option)
        text_add_cstr(yaml, H);
    if (!slice_eq(section->name, SLICE("domains")))
        text_add_cstr(yaml, "domains: [{name: a.org}]\n");
    if (!is_top)
        text_add_format(yaml, SLICE_FMT ":\n%s", SLICE_ARG(section->name), section->is_list ? "  -\n" : "");
    struct text name = { 0 };
    text_add(&name, o->name);
    if (with_option)
        add_option_line(yaml, is_top, text_cstr(&name), value ? value : sample_by_type(o));
    if (with_option && also)
        add_more(yaml, also);
    bool is_secret_pair = with_option && slice_eq(o->name, SLICE("password_hash"));
    for (size_t i = 0; i < COUNT(needed); i++) {
        bool is_given = with_option &&
                        (slice_eq(o->name, slice_from_cstr(needed[i].name)) || (also && strstr(also, needed[i].name)) ||
                         (is_secret_pair && strcmp(needed[i].name, "password") == 0));
        if (slice_eq(section->name, slice_from_cstr(needed[i].section)) && !is_given)
            add_option_line(yaml, is_top, needed[i].name, needed[i].line);
    }
    text_free(&name);
    text_free(&path);
}

static void write_of(slice yaml, struct text *written)
{
    struct config *config = read_fine(yaml);
    config_write(written, config, CONFIG_FOR_ALL);
    config_release(config);
}

static void test_round_trip(void **state)
{
    (void)state;
    EACH_OPTION(section, o)
    {
        struct text with = { 0 }, without = { 0 }, first = { 0 }, second = { 0 }, plain = { 0 };
        compose_sample(&with, section, o, true);
        compose_sample(&without, section, o, false);
        write_of(text_slice(&with), &first);
        write_of(text_slice(&first), &second);
        write_of(text_slice(&without), &plain);
        if (!slice_eq(text_slice(&first), text_slice(&second)))
            fail_msg(SLICE_FMT "." SLICE_FMT ":\n%s---\n%s", SLICE_ARG(section->name), SLICE_ARG(o->name),
                     text_cstr(&first), text_cstr(&second));
        if (slice_eq(text_slice(&first), text_slice(&plain)))
            fail_msg(SLICE_FMT "." SLICE_FMT ": the sample is the preset, or it was lost", SLICE_ARG(section->name),
                     SLICE_ARG(o->name));
        text_free(&with);
        text_free(&without);
        text_free(&first);
        text_free(&second);
        text_free(&plain);
    }
}

static void test_odd_content(void **state)
{
    (void)state;
    slice odd = SLICE(
        "a\tb \"\\ \r\n\x01\x1b\x7f \xc2\x85 \xc2\xa0 \xe2\x80\xa8 \xe2\x80\xa9 \xef\xbb\xbf \xef\xbf\xbe \xef\xbf\xbd "
        "\xf0\x9f\x98\x80 \xed\x9f\xbf # - : {} [] & * ! | > ' % @ `\n\n");
    struct text yaml = { 0 }, written = { 0 };
    text_add_cstr(&yaml, H "domains: [{name: a.org, alias_file: {content: ");
    text_add_yaml_quoted(&yaml, odd);
    text_add_cstr(&yaml, "}}]\n");
    struct config *config = read_fine(text_slice(&yaml));
    assert_true(slice_eq(config->domains[0].alias_text, odd));
    config_write(&written, config, CONFIG_FOR_ALL);
    config_release(config);
    config = read_fine(text_slice(&written));
    assert_true(slice_eq(config->domains[0].alias_text, odd));
    config_release(config);
    text_free(&yaml);
    text_free(&written);
}

/* --- who gets which secrets --------------------------------------------------------------------------------------- */

static void test_shares(void **state)
{
    (void)state;
    static const struct {
        enum config_share share;
        bool has_account, has_route, has_key;
    } shares[] = {
        { CONFIG_FOR_ALL, true, true, true },
        { CONFIG_FOR_MTA, false, true, true },
        { CONFIG_FOR_KEYRING, true, false, false },
        { CONFIG_FOR_MAILBOX, false, false, false },
    };
    struct config *config = read_fine(SLICE(
        H
        "accounts: [{address: a@a.org, password: ACCOUNTSECRET}, {address: b@a.org, password_hash: $y$ACCOUNTSECRET}]\n"
        "routes: [{domains: x.org, via: smarthost, host: \"h:1\", tls: verified, username: u, password: ROUTESECRET}]\n"
        "tls: {certificate: {content: \"" PEM_CERTIFICATE "\"}, key: {content: \"" PEM_KEY "\"}}\n"));
    for (size_t i = 0; i < COUNT(shares); i++) {
        struct text yaml = { 0 };
        config_write(&yaml, config, shares[i].share);
        assert_int_equal(slice_find(text_slice(&yaml), SLICE("ACCOUNTSECRET")) != SLICE_NOT_FOUND,
                         shares[i].has_account);
        assert_int_equal(slice_find(text_slice(&yaml), SLICE("ROUTESECRET")) != SLICE_NOT_FOUND, shares[i].has_route);
        assert_int_equal(slice_find(text_slice(&yaml), SLICE("PRIVATE KEY")) != SLICE_NOT_FOUND, shares[i].has_key);
        struct config *again = read_fine(text_slice(&yaml));
        assert_int_equal(again->account_count, 2);
        assert_int_equal(again->route_count, 1);
        config_release(again);
        text_free(&yaml);
    }
    struct text shown = { 0 };
    config_write_shown(&shown, config);
    assert_true(slice_find(text_slice(&shown), SLICE("SECRET")) == SLICE_NOT_FOUND);
    assert_true(slice_find(text_slice(&shown), SLICE("PRIVATE")) == SLICE_NOT_FOUND);
    assert_true(slice_find(text_slice(&shown), SLICE("(hidden)")) != SLICE_NOT_FOUND);
    text_free(&shown);
    config_release(config);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void put(const char *name, slice content)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content.ptr ? content.ptr : "", 1, content.len, file), content.len);
    assert_int_equal(fclose(file), 0);
}

static struct config *read_named(const char *name)
{
    char path[128];
    config_mistakes_free(mistakes);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return config_read_file(path, mistakes);
}

static int make_folder(void **state)
{
    (void)set_up(state);
    snprintf(folder, sizeof folder, "/tmp/config_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    char path[128];
    snprintf(path, sizeof path, "%s/sub", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    return 0;
}

static int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    folder[0] = 0;
    return tear_down(state);
}

static void test_files(void **state)
{
    (void)state;
    put("main.yaml",
        SLICE(H "include: [sub/more.yaml, sub/last.yaml]\ndomains: [{name: a.org, alias_file: a.aliases}]\n"
                "limits: {max_errors: 7}\ntls: {certificate: c.pem, key: ./k.pem}\ndir: data\n"));
    put("sub/more.yaml",
        SLICE("domains: [{name: b.org, alias_file: b.aliases}]\nlimits: {max_recipients: 200}\nloops: 2\n"));
    put("sub/last.yaml", SLICE("accounts: [{address: a@a.org, password: {file: secret}}]\nretry:\n"));
    put("sub/secret", SLICE("pass word\xc3\xa4\r\n"));
    put("a.aliases", SLICE("x: y\n"));
    put("sub/b.aliases", SLICE("z: y\n"));
    put("c.pem",
        SLICE("Subject: \xe4\xf6 in Latin-1\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\ntail\n"));
    put("k.pem", SLICE("-----BEGIN PRIVATE KEY-----\r\nBBBB\r\n-----END PRIVATE KEY-----\r\n"));
    struct config *c = read_named("main.yaml");
    struct text said = { 0 };
    add_mistakes(&said);
    if (!c)
        fail_msg("%s", text_cstr(&said));
    assert_int_equal(c->domain_count, 2);
    assert_true(slice_eq(c->domains[0].name, SLICE("b.org")) && slice_eq(c->domains[0].alias_text, SLICE("z: y\n")));
    assert_true(slice_eq(c->domains[1].name, SLICE("a.org")) && slice_eq(c->domains[1].alias_text, SLICE("x: y\n")));
    assert_int_equal(c->limits.max_errors, 7);
    assert_int_equal(c->limits.max_recipients, 200);
    assert_int_equal(c->loops, 2);
    assert_true(slice_eq(c->accounts[0].password, SLICE("pass word\xc3\xa4")));
    assert_true(
        slice_eq(c->tls.certificate_pem, SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")));
    assert_true(slice_eq(c->tls.key_pem, SLICE("-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n")));
    assert_true(slice_starts_with(c->dir, SLICE("/tmp/config_test.")) && slice_ends_with(c->dir, SLICE("/data")));
    text_free(&said);
    config_release(c);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        slice main, other;
        const char *said; /* how it ends */
    } cases[] = {
        { "itself", LIT(H "include: main.yaml\n"), LIT(""), "main.yaml includes itself" },
        { "in a circle", LIT(H "include: other\n"), LIT("include: ./main.yaml\n"), "main.yaml includes itself" },
        { "twice the same", LIT(H "include: [other, other]\n"), LIT("loops: 1\n"),
          "loops: is given twice; the first is at " },
        { "syntax", LIT(H "include: other\n"), LIT("a: b: c\n"), "other:1:5: not YAML: mapping values" },
        { "a folder", LIT(H "include: sub\n"), LIT(""), "cannot be read: it is a folder" },
        { "two lines of secret", LIT(H "accounts: [{address: a@a.org, password: {file: other}}]\n"), LIT("a\nb\n"),
          "the file holds line breaks" },
        { "empty secret", LIT(H "accounts: [{address: a@a.org, password: {file: other}}]\n"), LIT("\n"),
          "the file is empty" },
        { "secret not UTF-8", LIT(H "accounts: [{address: a@a.org, password: {file: other}}]\n"), LIT("a\xff\n"),
          "the file is not UTF-8" },
        { "secret of zeros", LIT(H "accounts: [{address: a@a.org, password: {file: other}}]\n"), LIT("a\0b\n"),
          "is not a text file" },
        { "secret in a FIFO", LIT(H "accounts: [{address: a@a.org, password: {file: fifo}}]\n"), LIT(""),
          "the file is empty" },
        { "aliases not UTF-8", LIT(H "domains: [{name: a.org, alias_file: other}]\n"), LIT("a: \xff\n"),
          "the file is not UTF-8" },
        { "key without key", LIT(H "tls: {certificate: {content: \"" PEM_CERTIFICATE "\"}, key: other}\n"),
          LIT("hello"), "tls.key: nothing in PEM form" },
    };
    char path[128];
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text said = { 0 };
        put("main.yaml", cases[i].main);
        put("other", cases[i].other);
        struct config *config = read_named("main.yaml");
        add_mistakes(&said);
        if (config || slice_find(text_slice(&said), slice_from_cstr(cases[i].said)) == SLICE_NOT_FOUND)
            fail_msg("%s: %s", cases[i].name, text_cstr(&said));
        text_free(&said);
        config_release(config);
    }
    assert_null(read_named("nonexistent.yaml"));
    assert_true(slice_starts_with(mistakes->items[0].what, SLICE("cannot be opened")));
}

static void test_deep_includes(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        char name[32], content[64];
        snprintf(name, sizeof name, "%d.yaml", i);
        int len = snprintf(content, sizeof content, "include: %d.yaml\n", i + 1);
        put(name, slice_from(content, (size_t)len));
    }
    put("12.yaml", SLICE(H));
    assert_null(read_named("0.yaml"));
    assert_true(slice_find(mistakes->items[0].what, SLICE("is included too deeply")) != SLICE_NOT_FOUND);
    struct config *config = read_named("6.yaml");
    assert_non_null(config);
    config_release(config);
}

static void test_secret_from_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("POSTRIDER_TEST_X", "from ${outside}", 1), 0);
    struct config *config =
        read_fine(SLICE(H "accounts: [{address: a@a.org, password: \"${POSTRIDER_TEST_X}\"}, {address: b@a.org, "
                          "password: {text: \"${POSTRIDER_TEST_X}\"}}]\n"));
    assert_true(slice_eq(config->accounts[0].password, SLICE("from ${outside}")));
    assert_true(slice_eq(config->accounts[1].password, SLICE("${POSTRIDER_TEST_X}")));
    config_release(config);
}

/* Tens of thousands of domains are an ordinary configuration. */
static void test_many_domains(void **state)
{
    (void)state;
    enum { DOMAINS = 20000 };
    struct text yaml = { 0 };
    text_add_cstr(&yaml, H "domains:\n");
    for (int i = 0; i < DOMAINS; i++)
        text_add_format(&yaml, "  - name: d%d.org\n", i);
    text_add_cstr(&yaml, "routes:\n  - via: mx\n    domains:\n");
    for (int i = 0; i < DOMAINS; i++)
        text_add_format(&yaml, "      - r%d.org\n", i);
    struct config *config = read_fine(text_slice(&yaml));
    assert_int_equal(config->domain_count, DOMAINS);
    assert_ptr_equal(config_find_route(config, SLICE("r19999.org")), &config->routes[0]);
    config_release(config);
    text_free(&yaml);
}

int main(void)
{
#define TEST(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_mistakes),
        TEST(test_all_mistakes),
        TEST(test_too_many_mistakes),
        TEST(test_values),
        TEST(test_own_hostname),
        TEST(test_table),
        TEST(test_round_trip),
        TEST(test_odd_content),
        TEST(test_shares),
        FILE_TEST(test_files),
        FILE_TEST(test_bad_files),
        FILE_TEST(test_deep_includes),
        TEST(test_secret_from_environment),
        TEST(test_many_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
