#pragma once
#include "receive/receive.h"
/*
 * fake_world - for tests and fuzzing: the parts of io/, spool/ and tls/ that receive/ calls, in memory, with a clock
 * that the test moves, a keyring that knows one password, and clients that are two buffers. No descriptor, no thread,
 * no chance.
 *
 * Known: example.org is hosted here; ann@example.org has a mailbox (password "secret"), bob@example.org too;
 *        friends@example.org is ann and carl@outside.example; loop@example.org leads to itself.
 */
struct message_seen { /* what the spool was given */
    uint64_t id;
    struct envelope *envelope;
    slice content;
    uint32_t header_octets;
    struct arena memory;
    struct spool_message message;
};
struct world {
    struct loop *loop;
    struct spool *spool;
    struct event_log *events;
    struct config *config;
    struct receiver *receiver;
    struct message_seen *seen[64]; /* committed, first ones */
    size_t seen_count;             /* all of them */
    size_t accepted;               /* handed to the schedule */
    size_t drafts_open;
    /* what goes wrong */
    enum spool_result room, append_result, commit_result;
    bool keyring_is_away; /* answers "temporary" */
    bool commits_wait, answers_wait;
};
/* `limits`: YAML lines of the limits section, each with its two spaces of indent; NULL: the presets. */
struct world *world_new(const char *limits);
void world_free(struct world *);
/* A client connects; the greeting is in its output. */
struct stream *world_connect(struct world *, enum listener_role, const char *address);
struct stream *world_adopt(struct world *, const char *account);
/* The client sends; nothing is answered that needs a turn. While the server does not read, it is kept. */
void world_send(struct stream *, slice);
void world_hang_up(struct stream *); /* the client closes its side */
void world_break(struct stream *);   /* the connection is reset */
/* Commits and passwords that wait are answered, streams that wait are resumed, until nothing happens any more. */
void world_turn(struct world *);
void world_pass(struct world *, uint64_t ms);          /* with the timers on the way, and a turn after each */
void world_finish_handshake(struct stream *, bool ok); /* nothing where none is under way */
/* Nothing is taken off what the server writes any more, as with a client that does not read. */
void world_stop_reading(struct stream *, bool stops);
slice world_output(struct stream *); /* since the last call */
bool world_is_closed(const struct stream *);
bool world_is_paused(const struct stream *);
/* send, turn, output */
slice world_say(struct world *, struct stream *, const char *octets);
