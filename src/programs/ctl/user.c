#include "base/memory.h"
#include "base/nearest.h"
#include "programs/ctl/arguments.h"
#include "programs/ctl/client.h"
#include "programs/ctl/ctl.h"
#include "programs/ctl/print.h"
#include "programs/ctl/protocol.h"
#include "programs/ctl/secret.h"
#include "programs/keyring/accounts.h"
#include "programs/keyring/password.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The running server's keyring is asked; where none runs, the store itself is changed. Both give the same answers.
 */
struct user_arguments {
    struct client_place place;
    struct argument_list addresses;
    const char *hash;
    bool password_stdin, json;
    struct text password; /* wiped at the end */
};

struct user_command {
    const char *name, *request, *usage, *about, *examples, *done;
    bool takes_password;
    enum accounts_result (*change)(struct accounts *, slice address, slice hash, struct text *error);
};

static enum accounts_result remove_account(struct accounts *accounts, slice address, slice hash, struct text *error)
{
    (void)hash;
    return accounts_remove(accounts, address, error);
}

static const struct user_command commands[] = {
    { "add", "account_add", "user add ADDRESS",
      "Adds an account: a login name for submission, and a mailbox when its domain is hosted here.",
      "  postrider user add ann@example.org\n  pass show mail/ann | postrider user add ann@example.org "
      "--password-stdin\n",
      "added", true, accounts_add },
    { "passwd", "account_set_password", "user passwd ADDRESS", "Gives an account a new password.",
      "  postrider user passwd ann@example.org\n", "has a new password", true, accounts_set_hash },
    { "remove", "account_remove", "user remove ADDRESS", "Removes an account. Its mailbox stays where it is.",
      "  postrider user remove ann@example.org\n", "removed", false, remove_account },
};

/* the store itself -------------------------------------------------------------------------------------------- */

/* The first folder that has a store, else the first of all. */
static void choose_store(const struct client_folders *folders, struct text *path)
{
    struct stat status;
    for (size_t i = 0; i < folders->count; i++) {
        text_clear(path);
        text_add_format(path, SLICE_FMT "/accounts", SLICE_ARG(text_slice(&folders->names[i])));
        if (stat(text_cstr(path), &status) == 0)
            return;
    }
    text_clear(path);
    text_add_format(path, SLICE_FMT "/accounts", SLICE_ARG(text_slice(&folders->names[0])));
}

/* An account may be added before the server's first start; that gives the folders their owners. */
static void make_folders(struct client_folders *folders, const char *store)
{
    mkdir(text_cstr(&folders->names[0]), 0755);
    mkdir(store, 0700);
}

static struct accounts *open_store(const struct user_arguments *a, int *exit_code)
{
    struct client_folders folders;
    struct text path = { 0 }, error = { 0 };
    if (!client_find_folders(&a->place, &folders, exit_code))
        return NULL;
    choose_store(&folders, &path);
    make_folders(&folders, text_cstr(&path));
    int error_number = access(text_cstr(&path), R_OK | X_OK) == 0 ? 0 : errno;
    struct accounts *accounts = error_number == 0 ? accounts_open(text_cstr(&path), &error) : NULL;
    if (error_number != 0)
        text_add_format(&error, "%s: %s", text_cstr(&path), strerror(error_number));
    if (!accounts) {
        fprintf(stderr, "postrider: no server runs, and the accounts cannot be opened: %s\n", text_cstr(&error));
        *exit_code = error_number == EACCES ? EXIT_NOT_ALLOWED : EXIT_UNAVAILABLE;
    }
    text_free(&path);
    text_free(&error);
    client_folders_free(&folders);
    return accounts;
}

static int exit_code_of(enum accounts_result result)
{
    switch (result) {
    case ACCOUNTS_OK:
        return EXIT_SUCCESS;
    case ACCOUNTS_EXISTS:
    case ACCOUNTS_UNKNOWN:
        return EXIT_NEGATIVE;
    case ACCOUNTS_BAD_ADDRESS:
    case ACCOUNTS_BAD_HASH:
        return EXIT_DATA;
    case ACCOUNTS_FAILED:
        break;
    }
    return EXIT_SOFTWARE;
}

static int change_store(const struct user_command *command, struct user_arguments *a)
{
    int exit_code = EXIT_SUCCESS;
    struct text hash = { 0 }, error = { 0 };
    struct accounts *accounts = open_store(a, &exit_code);
    if (!accounts)
        return exit_code;
    if (a->hash)
        text_add_cstr(&hash, a->hash);
    enum accounts_result result = ACCOUNTS_OK;
    if (command->takes_password && !a->hash && !password_make_hash(text_slice(&a->password), &hash)) {
        text_add_cstr(&error, "this system's crypt(3) makes no yescrypt hash");
        result = ACCOUNTS_FAILED;
    }
    if (result == ACCOUNTS_OK)
        result = command->change(accounts, slice_from_cstr(a->addresses.items[0]), text_slice(&hash), &error);
    if (result != ACCOUNTS_OK)
        fprintf(stderr, "postrider: %s\n", text_cstr(&error));
    accounts_close(accounts);
    text_free(&hash);
    text_free(&error);
    return exit_code_of(result);
}

/* the running server ------------------------------------------------------------------------------------------ */

static int ask_to_change(const struct user_command *command, struct user_arguments *a, struct client *client)
{
    json_t *request = json_object();
    json_object_set_new(request, "command", json_string(command->request));
    json_object_set_new(request, "account", json_string(a->addresses.items[0]));
    if (a->hash)
        json_object_set_new(request, "password_hash", json_string(a->hash));
    else if (command->takes_password)
        json_object_set_new(request, "password", json_stringn(a->password.ptr, a->password.len));
    return client_ask(client, request, NULL, NULL, NULL, NULL);
}

/* Nobody listens: the store itself. A socket that may not be used is an error, not a reason to go around it. */
static bool server_is_away(const struct user_arguments *a, struct client **client, int *exit_code)
{
    *client = client_open(&a->place, ACCOUNTS_SOCKET, true, exit_code);
    return !*client && *exit_code == EXIT_UNAVAILABLE;
}

static int change(const struct user_command *command, struct user_arguments *a)
{
    int exit_code = EXIT_SUCCESS;
    struct client *client;
    if (server_is_away(a, &client, &exit_code)) {
        exit_code = change_store(command, a);
    } else if (client) {
        exit_code = ask_to_change(command, a, client);
        client_close(client);
    }
    if (exit_code == EXIT_SUCCESS && a->json) {
        json_t *done = json_object();
        json_object_set_new(done, "account", json_string(a->addresses.items[0]));
        print_json(done);
        json_decref(done);
    } else if (exit_code == EXIT_SUCCESS) {
        printf("%s %s\n", a->addresses.items[0], command->done);
    }
    return exit_code;
}

static bool take_password(const struct user_command *command, const struct arguments *arguments,
                          struct user_arguments *a, int *exit_code)
{
    if (!command->takes_password || a->hash)
        return true;
    struct text error = { 0 };
    bool ok = a->password_stdin ? secret_read_line(STDIN_FILENO, &a->password, &error)
                                : secret_ask_twice("New password: ", "Again: ", &a->password, &error);
    if (ok && !password_is_acceptable(text_slice(&a->password))) {
        text_add_format(&error, "a password has 1 to %d octets, and no NUL", PASSWORD_MAX);
        ok = false;
    }
    if (ok && slice_is_utf8(text_slice(&a->password)))
        return true;
    if (ok)
        text_add_cstr(&error, "a password is UTF-8");
    *exit_code = arguments_mistake(arguments, "%s", text_cstr(&error));
    text_free(&error);
    return false;
}

static int run_change(int argc, char **argv)
{
    const struct user_command *command = NULL;
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(argv[0], commands[i].name) == 0)
            command = &commands[i];
    assert(command);
    struct user_arguments a = { 0 };
    const struct argument rows[] = {
        { "json", 'j', ARGUMENT_FLAG, &a.json, NULL, "one JSON object" },
        CLIENT_PLACE_ROWS(a.place),
        { "password-stdin", 0, ARGUMENT_FLAG, &a.password_stdin, NULL,
          "read the password from standard input (its first line)" },
        { "password-hash", 0, ARGUMENT_TEXT, &a.hash, "HASH",
          "take this crypt(5) or $argon2id$ hash instead of a password" },
    };
    const struct arguments arguments = {
        command->usage,    command->about, rows, command->takes_password ? COUNT(rows) : COUNT(rows) - 2,
        command->examples, &a.addresses
    };
    int exit_code = EXIT_SUCCESS;
    if (arguments_read(&arguments, argc, argv, &exit_code)) {
        if (a.addresses.count != 1)
            exit_code = arguments_mistake(&arguments, "one address is wanted, name@domain");
        else if (take_password(command, &arguments, &a, &exit_code))
            exit_code = change(command, &a);
    }
    memory_wipe(a.password.ptr, a.password.len);
    text_free(&a.password);
    arguments_list_free(&a.addresses);
    return exit_code;
}

/* list -------------------------------------------------------------------------------------------------------- */

static bool print_account(void *context, const json_t *item)
{
    const struct user_arguments *a = context;
    if (a->json) {
        print_json(item);
        return true;
    }
    print_plain(json_text(item, "account"));
    if (slice_eq(json_text(item, "source"), SLICE("configuration")))
        print_styled(STYLE_FAINT, SLICE("  (in the configuration file)"));
    putchar('\n');
    return true;
}

static void print_record(void *context, const struct account_record *record)
{
    json_t *item = json_object();
    json_object_set_new(item, "account", json_stringn(record->address.ptr, record->address.len));
    json_object_set_new(item, "source", json_string("store"));
    print_account(context, item);
    json_decref(item);
}

static int list_store(struct user_arguments *a)
{
    int exit_code = EXIT_SUCCESS;
    struct text error = { 0 };
    struct accounts *accounts = open_store(a, &exit_code);
    if (!accounts)
        return exit_code;
    if (!accounts_each(accounts, print_record, a, &error)) {
        fprintf(stderr, "postrider: %s\n", text_cstr(&error));
        exit_code = EXIT_SOFTWARE;
    }
    accounts_close(accounts);
    text_free(&error);
    return exit_code;
}

static int run_list(int argc, char **argv)
{
    struct user_arguments a = { 0 };
    const struct argument rows[] = {
        { "json", 'j', ARGUMENT_FLAG, &a.json, NULL, "one JSON object a line" },
        CLIENT_PLACE_ROWS(a.place),
    };
    const struct arguments arguments = { "user list",
                                         "Lists the accounts.",
                                         rows,
                                         COUNT(rows),
                                         "  postrider user list\n  postrider user list --json | jq -r .account\n",
                                         NULL };
    int exit_code = EXIT_SUCCESS;
    struct client *client;
    if (!arguments_read(&arguments, argc, argv, &exit_code))
        return exit_code;
    if (server_is_away(&a, &client, &exit_code))
        return list_store(&a);
    if (!client)
        return exit_code;
    json_t *request = json_object();
    json_object_set_new(request, "command", json_string("account_list"));
    exit_code = client_ask(client, request, print_account, &a, NULL, NULL);
    client_close(client);
    return exit_code;
}

static int say_usage(FILE *to, int exit_code)
{
    fputs("Usage: postrider user COMMAND [ADDRESS]\n\nCommands (each has --help and --json):\n"
          "  add      a new account\n"
          "  passwd   a new password for an account\n"
          "  remove   an account\n"
          "  list     all accounts\n"
          "\nThey work with and without a running server, which takes changes at once.\n"
          "\nExamples:\n  postrider user add ann@example.org\n  postrider user list\n",
          to);
    return exit_code;
}

int user_main(int argc, char **argv)
{
    if (argc < 2)
        return say_usage(stderr, EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return say_usage(stdout, EXIT_SUCCESS);
    if (strcmp(argv[1], "list") == 0)
        return run_list(argc - 1, argv + 1);
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_change(argc - 1, argv + 1);
    struct nearest nearest = nearest_start(slice_from_cstr(argv[1]));
    struct text hint = { 0 };
    for (size_t i = 0; i < COUNT(commands); i++)
        nearest_offer(&nearest, slice_from_cstr(commands[i].name));
    nearest_offer(&nearest, SLICE("list"));
    text_add_nearest(&hint, &nearest);
    fprintf(stderr, "postrider user: there is no command '%s'%s\nTry: postrider user --help\n", argv[1],
            text_cstr(&hint));
    text_free(&hint);
    return EXIT_USAGE;
}
