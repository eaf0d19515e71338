#include "programs/ctl/client.h"
#include "base/memory.h"
#include "config/config.h"
#include "programs/ctl/print.h"
#include "programs/ctl/protocol.h"
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
    int fd;
    FILE *answers;
};

static bool folder_of_config(const char *file, struct text *to, int *exit_code)
{
    struct config_mistakes *mistakes = MEMORY_NEW(struct config_mistakes);
    struct config *config = config_read_file(file, mistakes);
    if (config) {
        text_add(to, config->dir);
        config_release(config);
    } else {
        struct text said = { 0 };
        for (size_t i = 0; i < mistakes->count; i++) {
            text_add_config_mistake(&said, &mistakes->items[i]);
            text_add_byte(&said, '\n');
        }
        fprintf(stderr, "%s", text_cstr(&said));
        text_free(&said);
        *exit_code = EXIT_DATA;
    }
    config_mistakes_free(mistakes);
    memory_free(mistakes);
    return to->len > 0;
}

static void add_own_folder(struct client_folders *folders)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct text *to = &folders->names[folders->count];
    if (state && state[0] == '/')
        text_add_format(to, "%s/postrider/local", state);
    else if (home && home[0] == '/')
        text_add_format(to, "%s/.local/state/postrider/local", home);
    folders->count += to->len > 0;
}

bool client_find_folders(const struct client_place *place, struct client_folders *folders, int *exit_code)
{
    const char *given = place->dir ? place->dir : place->config ? NULL : getenv("POSTRIDER_DIR");
    *folders = (struct client_folders){ 0 };
    if (given && *given) {
        text_add_cstr(&folders->names[folders->count++], given);
    } else if (place->config) {
        if (!folder_of_config(place->config, &folders->names[0], exit_code))
            return false;
        folders->count = 1;
    } else {
        text_add(&folders->names[folders->count++], SLICE("/var/lib/postrider"));
        add_own_folder(folders);
    }
    return true;
}

void client_folders_free(struct client_folders *folders)
{
    for (size_t i = 0; i < folders->count; i++)
        text_free(&folders->names[i]);
    folders->count = 0;
}

/* A name has 107 octets; a folder with a longer one is reached by a link or a relative name. */
static int connect_to(const char *folder, const char *socket_name)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int length = snprintf(name.sun_path, sizeof(name.sun_path), "%s/%s", folder, socket_name);
    if (length < 0 || (size_t)length >= sizeof(name.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof(name)) != 0) {
        int error_number = errno;
        close(fd);
        errno = error_number;
        return -1;
    }
    return fd;
}

static int say_unreachable(const struct client_folders *folders, const int *errors, const char *socket_name, bool quiet)
{
    bool is_forbidden = false;
    for (size_t i = 0; i < folders->count; i++)
        is_forbidden |= errors[i] == EACCES;
    if (quiet)
        return is_forbidden ? EXIT_NOT_ALLOWED : EXIT_UNAVAILABLE;
    for (size_t i = 0; i < folders->count; i++)
        fprintf(stderr, "postrider: no server answers at %.*s/%s: %s\n", (int)folders->names[i].len,
                folders->names[i].ptr, socket_name, strerror(errors[i]));
    if (is_forbidden) {
        fputs("Only root and the server's own user may ask it: try again with sudo.\n", stderr);
        return EXIT_NOT_ALLOWED;
    }
    fputs("Start it with `postrider serve -c FILE` or `postrider local`, or name its folder with --dir DIR.\n", stderr);
    return EXIT_UNAVAILABLE;
}

int client_connect(const struct client_place *place, const char *socket_name, bool quiet, struct text *path,
                   int *exit_code)
{
    struct client_folders folders;
    int errors[CLIENT_FOLDERS_MAX] = { 0 }, fd = -1;
    if (!client_find_folders(place, &folders, exit_code))
        return -1;
    for (size_t i = 0; i < folders.count && fd < 0; i++) {
        fd = connect_to(text_cstr(&folders.names[i]), socket_name);
        errors[i] = errno;
        if (fd >= 0)
            text_add_format(path, "%s/%s", text_cstr(&folders.names[i]), socket_name);
    }
    if (fd < 0)
        *exit_code = say_unreachable(&folders, errors, socket_name, quiet);
    client_folders_free(&folders);
    return fd;
}

struct client *client_open(const struct client_place *place, const char *socket_name, bool quiet, int *exit_code)
{
    struct text path = { 0 };
    int fd = client_connect(place, socket_name, quiet, &path, exit_code);
    text_free(&path);
    if (fd < 0)
        return NULL;
    struct client *client = MEMORY_NEW(struct client);
    *client = (struct client){ .fd = fd, .answers = fdopen(fd, "r") };
    return client;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    if (client->answers)
        fclose(client->answers);
    memory_free(client);
}

static bool send_request(struct client *client, json_t *request)
{
    char *line = json_dumps(request, JSON_COMPACT);
    size_t octets = line ? strlen(line) : 0, sent = 0;
    json_decref(request);
    if (!line || octets + 1 > REQUEST_MAX) {
        free(line);
        errno = EMSGSIZE;
        return false;
    }
    line[octets++] = '\n';
    while (sent < octets) {
        ssize_t written = send(client->fd, line + sent, octets - sent, MSG_NOSIGNAL);
        if (written < 0 && errno != EINTR)
            break;
        sent += written > 0 ? (size_t)written : 0;
    }
    memory_wipe(line, octets); /* may hold a password */
    free(line);
    return sent == octets;
}

/* One line of the answer: true when it was the last; then *exit_code is set. */
static bool take_line(const json_t *line, bool (*item)(void *, const json_t *), void *context, uint64_t *count,
                      bool *more, int *exit_code)
{
    const json_t *value = json_object_get(line, "item");
    if (value)
        return item && !item(context, value);
    if (json_is_set(line, "end")) {
        if (count)
            *count = json_number(line, "count");
        if (more)
            *more = json_is_set(line, "more");
        return true;
    }
    struct text said = { 0 };
    text_add_harmless(&said, json_text(line, "error"));
    fprintf(stderr, "postrider: %s\n", said.len ? text_cstr(&said) : "the server's answer is not understood");
    text_free(&said);
    uint64_t code = json_number(line, "exit");
    *exit_code = code > 0 && code < 128 ? (int)code : EXIT_SOFTWARE;
    return true;
}

int client_ask(struct client *client, json_t *request, bool (*item)(void *context, const json_t *item), void *context,
               uint64_t *count, bool *more)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t octets = 0;
    int exit_code = EXIT_SUCCESS;
    bool is_done = false;
    if (!send_request(client, request)) {
        fprintf(stderr, "postrider: cannot ask the server: %s\n", strerror(errno));
        return EXIT_UNAVAILABLE;
    }
    while (!is_done && (octets = getline(&line, &capacity, client->answers)) > 0) {
        json_t *answer = json_loadb(line, (size_t)octets, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        is_done = take_line(answer, item, context, count, more, &exit_code);
        json_decref(answer);
    }
    free(line);
    if (!is_done) {
        fputs("postrider: the server broke the connection off before its answer was complete\n", stderr);
        exit_code = EXIT_TEMPORARY;
    }
    return exit_code;
}
