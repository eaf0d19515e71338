#include "base/memory.h"
#include "base/nearest.h"
#include "programs/check/check.h"
#include "programs/ctl/ctl.h"
#include "programs/keyring/keyring.h"
#include "programs/local/local.h"
#include "programs/mailbox/mailbox.h"
#include "programs/mta/mta.h"
#include "programs/process.h"
#include "programs/supervisor/supervisor.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
/*
 * main - which command of `postrider` is meant. One row a command.
 */
struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *summary;               /* NULL: not listed */
};

static int run_serve(int argc, char **argv);
static int run_local(int argc, char **argv);
static int run_process(int argc, char **argv);
static int run_help(int argc, char **argv);

static const struct command commands[] = {
    { "serve", run_serve, "run the server with a configuration file" },
    { "local", run_local, "run a complete server from flags alone, for development and tests" },
    { "check-config", check_config_main, "find every mistake in a configuration file" },
    { "config", config_main, "show the configuration, its reference page or its JSON Schema" },
    { "queue", queue_main, "list, show, retry, hold, release or remove queued messages" },
    { "user", user_main, "add, remove or list accounts, change passwords" },
    { "status", status_main, "what the running server is doing" },
    { "send", send_main, "send a message and show the SMTP dialogue" },
    { "sendmail", sendmail_main, "what cron, PHP and git send-email call (-t -i -f ...)" },
    { "version", version_main, "print the version" },
    { "help", run_help, "print this list" },
    { "--help", run_help, NULL },
    { "-h", run_help, NULL },
    { "--version", version_main, NULL },
    { "--process", run_process, NULL },
};

static int run_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("Postrider: a complete SMTP system - server, submission, relay and delivery.\n\n"
         "Usage: postrider COMMAND [ARGUMENTS]     (postrider COMMAND --help tells more)\n\nCommands:");
    for (size_t i = 0; i < COUNT(commands); i++)
        if (commands[i].summary)
            printf("  %-13s %s\n", commands[i].name, commands[i].summary);
    puts("\nExamples:\n"
         "  postrider local --domain example.test --user ann@example.test:secret\n"
         "  postrider serve -c /etc/postrider/postrider.yaml\n"
         "  postrider send --server 127.0.0.1:2525 --from me@example.org --to ann@example.test\n"
         "  postrider queue list --status deferred");
    return EXIT_SUCCESS;
}

static int run_process(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(role, "mta") == 0)
        return mta_main(PROCESS_CHANNEL_FD);
    if (strcmp(role, "keyring") == 0)
        return keyring_main(PROCESS_CHANNEL_FD);
    if (strcmp(role, "mailbox") == 0)
        return mailbox_main(PROCESS_CHANNEL_FD);
    fputs("postrider: --process is for the supervisor only; use `postrider serve` or `postrider local`\n", stderr);
    return EX_USAGE;
}

static int serve_usage(FILE *to, int code)
{
    fputs("Usage: postrider serve -c FILE\n\n"
          "Runs the server in the foreground until SIGTERM or Ctrl-C; prints `ready` when all listeners accept.\n"
          "SIGHUP reads the configuration and certificates again without dropping a session.\n\n"
          "  -c, --config FILE   configuration, usually /etc/postrider/postrider.yaml\n\n"
          "Example:\n  postrider check-config -c postrider.yaml && postrider serve -c postrider.yaml\n",
          to);
    return code;
}

static int run_serve(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return serve_usage(stdout, EXIT_SUCCESS);
    bool has_file = argc == 3 && (strcmp(argv[1], "-c") == 0 || strcmp(argv[1], "--config") == 0);
    if (!has_file) {
        fputs("postrider serve: which configuration? Name its file with -c FILE, and nothing else\n\n", stderr);
        return serve_usage(stderr, EX_USAGE);
    }
    return supervisor_run(&(struct supervisor_params){ .config_file = argv[2] });
}

static int run_local(int argc, char **argv)
{
    struct text yaml = { 0 };
    int code = EXIT_SUCCESS;
    if (local_make_config(argc, argv, &yaml, &code))
        code = supervisor_run(&(struct supervisor_params){ .config_text = text_slice(&yaml),
                                                           .config_name = "flags",
                                                           .config_folder = ".",
                                                           .users_are_optional = true });
    if (yaml.ptr)
        memory_wipe(yaml.ptr, yaml.capacity);
    text_free(&yaml);
    return code;
}

/* Called by the name of /usr/sbin/sendmail, as a link to this binary. */
static bool is_called(const char *program, const char *name)
{
    const char *slash = strrchr(program, '/');
    return strcmp(slash ? slash + 1 : program, name) == 0;
}

static int unknown_command(const char *name)
{
    struct nearest nearest = nearest_start(slice_from_cstr(name));
    struct text hint = { 0 };
    for (size_t i = 0; i < COUNT(commands); i++)
        if (commands[i].summary)
            nearest_offer(&nearest, slice_from_cstr(commands[i].name));
    text_add_nearest(&hint, &nearest);
    fprintf(stderr, "postrider: there is no command '%s'%s\nTry: postrider help\n", name, text_cstr(&hint));
    text_free(&hint);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    if (argc > 0 && is_called(argv[0], "sendmail"))
        return sendmail_main(argc, argv);
    if (argc > 0 && (is_called(argv[0], "mailq")))
        return queue_main(2, (char *[]){ argv[0], "list", NULL });
    if (argc < 2)
        return run_help(argc, argv), EX_USAGE;
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return unknown_command(argv[1]);
}
