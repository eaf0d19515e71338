#pragma once
#include "base/arena.h"
#include "schedule/schedule.h"
/*
 * control_request - a request of programs/ctl/protocol.h, read and checked: what the control socket is asked.
 */
enum control_command {
    COMMAND_LIST,
    COMMAND_SHOW,
    COMMAND_RETRY,
    COMMAND_HOLD,
    COMMAND_RELEASE,
    COMMAND_REMOVE,
    COMMAND_STATUS,
    COMMAND_SUBMIT,
};
/* An address, or all of a domain. */
enum pattern_kind { PATTERN_ANY, PATTERN_MAILBOX, PATTERN_DOMAIN, PATTERN_BELOW_DOMAIN };
struct pattern {
    enum pattern_kind kind;
    struct path path; /* MAILBOX; both parts empty is the null sender. For the others the domain alone */
};
struct filter {
    uint64_t *ids; /* NULL: not by id */
    size_t id_count;
    struct pattern sender, recipient, domain;
    slice status;
    uint64_t older_ms, newer_ms; /* 0: not asked */
};
struct control_request {
    enum control_command command;
    struct filter filter;
    uint64_t limit;      /* 0: none */
    uint64_t recipients; /* most of one message that are listed */
};
static inline bool command_is_change(enum control_command c) { return c >= COMMAND_RETRY && c <= COMMAND_REMOVE; }
/* False: *error says what is wrong. The request hangs in the arena. */
MUST_CHECK bool control_request_parse(slice line, struct arena *, struct control_request *, struct text *error);
/* Everything but the ids. */
bool filter_matches(const struct filter *, const struct schedule *, const struct spool_message *, uint64_t now_ms);
bool pattern_matches(const struct pattern *, struct path);
