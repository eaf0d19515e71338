#include "base/clock.h"
#include "base/memory.h"
#include "message/header.h"
#include "programs/ctl/arguments.h"
#include "programs/ctl/client.h"
#include "programs/ctl/conversation.h"
#include "programs/ctl/ctl.h"
#include "programs/ctl/handed_in.h"
#include "programs/ctl/input.h"
#include "programs/ctl/pipe.h"
#include "programs/ctl/print.h"
#include "programs/ctl/protocol.h"
#include "smtp/path.h"
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

/*
 * What cron, PHP, git send-email and everything else that calls /usr/sbin/sendmail expects. The message goes through
 * the control socket into the one way in; a server that does not run is EX_TEMPFAIL (75).
 */
enum mode { MODE_DELIVER, MODE_SMTP, MODE_QUEUE, MODE_NOTHING, MODE_DAEMON };

struct sendmail {
    struct client_place place;
    const char *sender, *full_name, *notify, *dsn_return, *envelope_id;
    struct argument_list words;
    bool takes_from_header, dot_is_content, is_verbose;
    enum mode mode;

    struct text mailname, recipients, reverse_path, author, content;
};

/* options ------------------------------------------------------------------------------------------------------ */

enum option_kind { OPTION_FLAG, OPTION_VALUE, OPTION_ATTACHED };
typedef bool option_function(struct sendmail *, const char *value);

static bool option_ignore(struct sendmail *s, const char *value)
{
    (void)s;
    (void)value;
    return true;
}

static bool option_sender(struct sendmail *s, const char *value)
{
    s->sender = value;
    return true;
}

static bool option_full_name(struct sendmail *s, const char *value)
{
    s->full_name = value;
    return true;
}

static bool option_header(struct sendmail *s, const char *value)
{
    (void)value;
    s->takes_from_header = true;
    return true;
}

static bool option_dots(struct sendmail *s, const char *value)
{
    (void)value;
    s->dot_is_content = true;
    return true;
}

static bool option_verbose(struct sendmail *s, const char *value)
{
    (void)value;
    s->is_verbose = true;
    return true;
}

/* -oi and -o i; the other sendmail options have no meaning here. */
static bool option_old(struct sendmail *s, const char *value)
{
    s->dot_is_content |= value[0] == 'i';
    return true;
}

static bool option_mode(struct sendmail *s, const char *value)
{
    static const struct {
        char letter;
        enum mode mode;
    } modes[] = {
        { 'm', MODE_DELIVER }, { 's', MODE_SMTP }, { 'p', MODE_QUEUE }, { 'i', MODE_NOTHING }, { 'd', MODE_DAEMON }
    };
    for (size_t i = 0; i < COUNT(modes); i++)
        if (value[0] == modes[i].letter) {
            s->mode = modes[i].mode;
            return true;
        }
    fprintf(stderr, "sendmail: mode -b%s is not supported (-bm, -bs, -bp and -bi are)\n", value);
    return false;
}

/* There is nothing to run: the server tries its queue by itself. */
static bool option_queue(struct sendmail *s, const char *value)
{
    (void)value;
    s->mode = MODE_NOTHING;
    return true;
}

static bool option_notify(struct sendmail *s, const char *value)
{
    static const slice words[] = { LIT("never"), LIT("success"), LIT("failure"), LIT("delay") };
    slice rest = slice_from_cstr(value), word;
    bool goes_on = true;
    while (goes_on) {
        bool is_known = false;
        rest = slice_cut(rest, ',', &word, &goes_on);
        for (size_t i = 0; i < COUNT(words); i++)
            is_known |= slice_eq_nocase(word, words[i]);
        if (!is_known) {
            fprintf(stderr, "sendmail: -N takes never, or some of success,failure,delay; not '%s'\n", value);
            return false;
        }
    }
    s->notify = value;
    return true;
}

static bool option_return(struct sendmail *s, const char *value)
{
    if (strcmp(value, "full") != 0 && strcmp(value, "hdrs") != 0) {
        fprintf(stderr, "sendmail: -R takes full or hdrs, not '%s'\n", value);
        return false;
    }
    s->dsn_return = value[0] == 'f' ? "FULL" : "HDRS";
    return true;
}

static bool option_envelope_id(struct sendmail *s, const char *value)
{
    s->envelope_id = value;
    return true;
}

static const struct option {
    char letter;
    enum option_kind kind; /* ATTACHED: the value follows the letter at once, or there is none */
    option_function *take;
} options[] = {
    { 't', OPTION_FLAG, option_header },     { 'i', OPTION_FLAG, option_dots },
    { 'v', OPTION_FLAG, option_verbose },    { 'f', OPTION_VALUE, option_sender },
    { 'r', OPTION_VALUE, option_sender },    { 'F', OPTION_VALUE, option_full_name },
    { 'o', OPTION_ATTACHED, option_old },    { 'b', OPTION_ATTACHED, option_mode },
    { 'q', OPTION_ATTACHED, option_queue },  { 'N', OPTION_VALUE, option_notify },
    { 'R', OPTION_VALUE, option_return },    { 'V', OPTION_VALUE, option_envelope_id },
    { 'B', OPTION_VALUE, option_ignore },    { 'h', OPTION_VALUE, option_ignore },
    { 'L', OPTION_VALUE, option_ignore },    { 'O', OPTION_VALUE, option_ignore },
    { 'p', OPTION_VALUE, option_ignore },    { 'X', OPTION_VALUE, option_ignore },
    { 'C', OPTION_VALUE, option_ignore },    { 'e', OPTION_ATTACHED, option_ignore },
    { 'd', OPTION_ATTACHED, option_ignore }, { 'm', OPTION_FLAG, option_ignore },
    { 'n', OPTION_FLAG, option_ignore },     { 'U', OPTION_FLAG, option_ignore },
    { 'G', OPTION_FLAG, option_ignore },     { 's', OPTION_FLAG, option_ignore },
};

static int say_usage(FILE *to, int exit_code)
{
    fputs("Usage: sendmail [-t] [-i] [-f SENDER] [-F 'FULL NAME'] [RECIPIENT...] < MESSAGE\n"
          "       sendmail -bs | -bp\n\n"
          "Hands a message to the running Postrider, as programs do that call sendmail.\n\n"
          "  -t            recipients from To, Cc and Bcc of the message\n"
          "  -i, -oi       a line with a single dot does not end the message\n"
          "  -f, -r SENDER reverse-path ('<>': the null sender)\n"
          "  -F NAME       full name, when the message has no From\n"
          "  -N WORDS      DSN: never, or some of success,failure,delay\n"
          "  -R full|hdrs  DSN: what is returned\n"
          "  -V ID         DSN: envelope id\n"
          "  -bs           speak SMTP on standard input and output\n"
          "  -bp           list the queue\n"
          "  -v            show the dialogue\n"
          "  --dir DIR     the server's folder (default: found by itself)\n\n"
          "Other options of sendmail are accepted and ignored. Exit codes as in sysexits.h; 75: try again later.\n\n"
          "Example:\n  printf 'Subject: hello\\n\\nHello.\\n' | sendmail -i ann@example.org\n",
          to);
    return exit_code;
}

static const struct option *find_option(char letter)
{
    for (size_t i = 0; i < COUNT(options); i++)
        if (options[i].letter == letter)
            return &options[i];
    return NULL;
}

/* "-ti", "-fann@example.org", "-f ann@example.org". False: a mistake was explained. */
static bool read_letters(struct sendmail *s, int argc, char **argv, int *place)
{
    for (const char *letter = argv[*place] + 1; *letter; letter++) {
        const struct option *option = find_option(*letter);
        if (!option) {
            fprintf(stderr, "sendmail: unknown option -%c\n", *letter);
            return false;
        }
        if (option->kind == OPTION_FLAG) {
            option->take(s, "");
            continue;
        }
        const char *value = letter + 1;
        if (!*value && option->kind == OPTION_VALUE) {
            if (*place + 1 >= argc) {
                fprintf(stderr, "sendmail: -%c wants a value\n", *letter);
                return false;
            }
            value = argv[++*place];
        }
        return option->take(s, value);
    }
    return true;
}

/* False: the command ends with *exit_code. */
static bool read_options(struct sendmail *s, int argc, char **argv, int *exit_code)
{
    bool only_words = false;
    *exit_code = EX_USAGE;
    for (int place = 1; place < argc; place++) {
        const char *word = argv[place];
        if (only_words || word[0] != '-' || !word[1]) {
            if (s->words.count < ARGUMENT_LIST_MAX)
                arguments_list_add(&s->words, word);
        } else if (strcmp(word, "--help") == 0) {
            *exit_code = say_usage(stdout, EX_OK);
            return false;
        } else if (strcmp(word, "--dir") == 0 && place + 1 < argc) {
            s->place.dir = argv[++place];
        } else if (strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!read_letters(s, argc, argv, &place)) {
            return false;
        }
    }
    return true;
}

/* the message -------------------------------------------------------------------------------------------------- */

/* Who calls: "user@mailname" and the full name of the password file. */
static void find_author(struct sendmail *s, struct text *full_name)
{
    const struct passwd *user = getpwuid(getuid());
    if (user)
        text_add_format(&s->author, "%s@%s", user->pw_name, text_cstr(&s->mailname));
    else
        text_add_format(&s->author, "uid%u@%s", (unsigned)getuid(), text_cstr(&s->mailname));
    slice name = { 0 };
    slice_cut(slice_from_cstr(user ? user->pw_gecos : ""), ',', &name, NULL);
    text_add(full_name, s->full_name ? slice_from_cstr(s->full_name) : name);
}

static bool find_reverse_path(struct sendmail *s)
{
    slice given = slice_trim(slice_from_cstr(s->sender));
    struct text list = { 0 };
    if (!s->sender)
        text_add(&s->reverse_path, text_slice(&s->author));
    else if (given.len && !slice_eq(given, SLICE("<>")))
        handed_in_add_words(given, text_slice(&s->mailname), &list);
    if (list.len)
        text_add_cstr(&s->reverse_path, list.ptr); /* the first, up to its NUL */
    text_free(&list);
    if (s->reverse_path.len == 0 || mailbox_parse(text_slice(&s->reverse_path), true).error == PATH_OK)
        return true;
    fprintf(stderr, "sendmail: the sender '%s' is not an address\n",
            s->sender ? s->sender : text_cstr(&s->reverse_path));
    return false;
}

/* A list of NUL-ended mailboxes, each checked, once each. */
static struct conversation_recipient *split_recipients(const struct text *list, size_t *count, int *exit_code)
{
    struct conversation_recipient *recipients = NULL;
    slice rest = text_slice(list), mailbox;
    size_t places = 0;
    for (size_t i = 0; i < list->len; i++)
        places += list->ptr[i] == '\0';
    recipients = memory_new(places * sizeof(*recipients));
    for (*count = 0; rest.len;) {
        bool is_double = false;
        rest = slice_cut(rest, '\0', &mailbox, NULL);
        if (mailbox_parse(mailbox, true).error != PATH_OK) {
            struct text shown = { 0 };
            text_add_harmless(&shown, mailbox);
            fprintf(stderr, "sendmail: the recipient '%s' is not an address\n", text_cstr(&shown));
            text_free(&shown);
            *exit_code = EX_NOUSER;
            memory_free(recipients);
            return NULL;
        }
        for (size_t i = 0; i < *count && !is_double; i++)
            is_double = slice_eq(recipients[i].mailbox, mailbox);
        if (!is_double)
            recipients[(*count)++].mailbox = mailbox;
    }
    return recipients;
}

static bool next_message(void *context, uint64_t number, slice *content)
{
    struct sendmail *s = context;
    *content = text_slice(&s->content);
    return number == 0;
}

static void show(void *context, char direction, slice line)
{
    (void)context;
    printf("%c ", direction);
    print_plain(line);
    putchar('\n');
}

static int exit_code_of(const struct conversation *c)
{
    if (c->end == CONVERSATION_OK)
        return EX_OK;
    if (c->end != CONVERSATION_REFUSED)
        return EX_TEMPFAIL;
    if (status_is(c->status, 5, 1, 1))
        return EX_NOUSER;
    if (status_is(c->status, 5, 1, 2))
        return EX_NOHOST;
    return c->status.class == 5 && c->status.subject == 7 ? EX_NOPERM : EX_UNAVAILABLE;
}

static void say_refusals(const struct conversation *c)
{
    struct text line = { 0 };
    for (size_t i = 0; i < c->recipient_count; i++) {
        const struct conversation_recipient *r = &c->recipients[i];
        if (r->is_accepted || r->code == 0)
            continue;
        text_add_format(&line, "sendmail: " SLICE_FMT ": %u ", SLICE_ARG(r->mailbox), r->code);
        text_add_harmless(&line, text_slice(&r->reply));
        text_add_byte(&line, '\n');
    }
    if (line.len == 0) {
        text_add_cstr(&line, "sendmail: the message was not taken: ");
        text_add_harmless(&line, text_slice(&c->words));
        text_add_byte(&line, '\n');
    }
    if (c->accepted_count)
        text_add_cstr(&line, "sendmail: the other recipients get the message\n");
    fwrite(line.ptr, 1, line.len, stderr);
    text_free(&line);
}

static int hand_in(struct sendmail *s, const char *socket, struct conversation_recipient *recipients, size_t count)
{
    struct text hostname = { 0 };
    text_add_hostname(&hostname);
    struct conversation c = { .unix_path = socket,
                              .tls = CONVERSATION_TLS_NONE,
                              .ehlo_name = text_slice(&hostname),
                              .reverse_path = text_slice(&s->reverse_path),
                              .recipients = recipients,
                              .recipient_count = count,
                              .dsn_notify = slice_from_cstr(s->notify),
                              .dsn_return = slice_from_cstr(s->dsn_return),
                              .dsn_envelope_id = slice_from_cstr(s->envelope_id),
                              .timeout_ms = MINUTES(5),
                              .next_message = next_message,
                              .show = s->is_verbose ? show : NULL,
                              .context = s };
    conversation_run(&c);
    if (c.end != CONVERSATION_OK)
        say_refusals(&c);
    int exit_code = exit_code_of(&c);
    conversation_free(&c);
    text_free(&hostname);
    return exit_code;
}

/* Reads and completes the message before the server is asked: nothing waits on a slow pipe. */
static int take_message(struct sendmail *s)
{
    struct text raw = { 0 }, error = { 0 }, full_name = { 0 };
    int exit_code = EX_OK;
    find_author(s, &full_name);
    if (!find_reverse_path(s)) {
        exit_code = EX_USAGE;
    } else if (!input_read_descriptor(STDIN_FILENO, "standard input", &raw, &error)) {
        fprintf(stderr, "sendmail: %s\n", text_cstr(&error));
        exit_code = EX_IOERR;
    } else {
        struct text with_bcc = { 0 };
        for (size_t i = 0; i < s->words.count; i++)
            handed_in_add_words(slice_from_cstr(s->words.items[i]), text_slice(&s->mailname), &s->recipients);
        if (s->takes_from_header) {
            handed_in_add_crlf(&with_bcc, text_slice(&raw), s->dot_is_content);
            handed_in_add_recipients(header_section(text_slice(&with_bcc)), text_slice(&s->mailname), &s->recipients);
        }
        text_free(&with_bcc);
        handed_in_complete(&s->content, text_slice(&raw), s->dot_is_content,
                           &(struct handed_in_author){ text_slice(&s->author), text_slice(&full_name) },
                           text_slice(&s->mailname), clock_wall_ms());
    }
    text_free(&raw);
    text_free(&error);
    text_free(&full_name);
    return exit_code;
}

static int deliver(struct sendmail *s)
{
    struct text socket = { 0 };
    size_t count = 0;
    if (s->words.count == 0 && !s->takes_from_header)
        return say_usage(stderr, EX_USAGE);
    text_add_mailname(&s->mailname);
    int exit_code = take_message(s);
    if (exit_code != EX_OK)
        return exit_code;
    struct conversation_recipient *recipients = split_recipients(&s->recipients, &count, &exit_code);
    if (!recipients)
        return exit_code;
    if (count == 0) {
        fputs("sendmail: the message names no recipients\n", stderr);
        memory_free(recipients);
        return EX_USAGE;
    }
    int fd = client_connect(&s->place, CONTROL_SOCKET, false, &socket, &exit_code);
    if (fd >= 0) {
        close(fd);
        exit_code = hand_in(s, text_cstr(&socket), recipients, count);
    } else {
        exit_code = EX_TEMPFAIL;
    }
    text_free(&socket);
    memory_free(recipients);
    return exit_code;
}

static int speak_smtp(const struct sendmail *s)
{
    struct text socket = { 0 };
    int exit_code = EX_TEMPFAIL, fd = client_connect(&s->place, CONTROL_SOCKET, false, &socket, &exit_code);
    text_free(&socket);
    if (fd < 0)
        return EX_TEMPFAIL;
    exit_code = pipe_submission(fd) ? EX_OK : EX_TEMPFAIL;
    close(fd);
    return exit_code;
}

static int list_queue(const struct sendmail *s)
{
    char list[] = "list", dir[] = "--dir";
    char *with_dir[] = { dir, list, dir, (char *)s->place.dir, NULL };
    return queue_main(s->place.dir ? 4 : 2, with_dir);
}

static int run(struct sendmail *s)
{
    switch (s->mode) {
    case MODE_DELIVER:
        return deliver(s);
    case MODE_SMTP:
        return speak_smtp(s);
    case MODE_QUEUE:
        return list_queue(s);
    case MODE_NOTHING:
        return EX_OK;
    case MODE_DAEMON:
        fputs("sendmail: the server is started with `postrider serve -c FILE`\n", stderr);
        return EX_USAGE;
    }
    return EX_SOFTWARE;
}

int sendmail_main(int argc, char **argv)
{
    struct sendmail s = { 0 };
    int exit_code = EX_OK;
    signal(SIGPIPE, SIG_IGN);
    if (read_options(&s, argc, argv, &exit_code))
        exit_code = run(&s);
    struct text *texts[] = { &s.mailname, &s.recipients, &s.reverse_path, &s.author, &s.content };
    for (size_t i = 0; i < COUNT(texts); i++)
        text_free(texts[i]);
    arguments_list_free(&s.words);
    return exit_code;
}
