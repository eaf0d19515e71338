#pragma once
#include "base/text.h"
#include <jansson.h>
/*
 * client - asks the running server over one of its control sockets (programs/ctl/protocol.h). Waits for the answer.
 *
 * DIR, the server's folder: --dir; else $POSTRIDER_DIR; else `dir` of --config; else the first of /var/lib/postrider
 * and the user's own (where `postrider local` keeps it) in which the socket exists.
 */
struct client_place {
    const char *dir;    /* of --dir; NULL: not given */
    const char *config; /* of --config */
};
/* What both sockets' commands take, as rows of arguments. */
#define CLIENT_PLACE_ROWS(place)                                                                                       \
    { "dir", 0, ARGUMENT_TEXT, &(place).dir, "DIR", "the server's folder (default: found by itself)" },                \
    {                                                                                                                  \
        "config", 'c', ARGUMENT_TEXT, &(place).config, "FILE", "take the folder from this configuration file"          \
    }

/* The folders to look in, best first; at most two. False: an error was printed, exit with *exit_code. */
enum { CLIENT_FOLDERS_MAX = 2 };
struct client_folders {
    struct text names[CLIENT_FOLDERS_MAX];
    size_t count;
};
MUST_CHECK bool client_find_folders(const struct client_place *, struct client_folders *, int *exit_code);
void client_folders_free(struct client_folders *);

/* A connection to the first of the folders' sockets that answers; its name in *path. -1: *exit_code says why; with
 * `quiet` nothing was printed. */
int client_connect(const struct client_place *, const char *socket, bool quiet, struct text *path, int *exit_code);

struct client; /* a connection for questions */
/* As client_connect. */
struct client *client_open(const struct client_place *, const char *socket, bool quiet, int *exit_code);
/* Takes the request. `item` (may be NULL) sees each item; false from it ends the reading. Returns the exit code: 0, or
 * what the server said after its text was printed on stderr. *count: of the end. */
int client_ask(struct client *, json_t *request, bool (*item)(void *context, const json_t *item), void *context,
               uint64_t *count, bool *more);
void client_close(struct client *);
