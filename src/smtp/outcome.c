#include "smtp/outcome.h"
#include "smtp/octets.h"

enum { OUTCOME_VERSION = 1 };
static const char *const stage_names[] = {
    [STAGE_NONE] = "none",         [STAGE_DNS] = "dns",       [STAGE_CONNECT] = "connect",
    [STAGE_GREETING] = "greeting", [STAGE_EHLO] = "ehlo",     [STAGE_STARTTLS] = "starttls",
    [STAGE_TLS] = "tls",           [STAGE_AUTH] = "auth",     [STAGE_MAIL] = "mail",
    [STAGE_RCPT] = "rcpt",         [STAGE_DATA] = "data",     [STAGE_CONTENT] = "content",
    [STAGE_MAILBOX] = "mailbox",   [STAGE_POLICY] = "policy",
};
_Static_assert(COUNT(stage_names) == STAGE_POLICY + 1, "every stage has a name");
/* RFC 3464 §2.3.3: a recipient not tried yet is "delayed" to those who ask. */
static const char *const action_names[] = {
    [ACTION_NONE] = "delayed",      [ACTION_DELIVERED] = "delivered", [ACTION_RELAYED] = "relayed",
    [ACTION_EXPANDED] = "expanded", [ACTION_DELAYED] = "delayed",     [ACTION_FAILED] = "failed",
};
_Static_assert(COUNT(action_names) == ACTION_FAILED + 1, "every action has a name");

const char *delivery_stage_name(enum delivery_stage stage) { return stage_names[stage]; }
const char *action_name(enum action action) { return action_names[action]; }

void outcome_encode(struct text *to, const struct outcome *o)
{
    text_add_byte(to, OUTCOME_VERSION);
    octets_add_number(to, (uint64_t)o->action << 2 | (uint64_t)o->status_was_told << 1 | o->expired);
    octets_add_number(to, o->stage);
    octets_add_number(to, o->status.class);
    octets_add_number(to, o->status.subject);
    octets_add_number(to, o->status.detail);
    octets_add_number(to, o->reply_code);
    octets_add_slice(to, o->text);
    octets_add_slice(to, o->remote_name);
    octets_add_slice(to, o->remote_address);
    octets_add_slice(to, o->tls);
}

static bool take_status(slice *input, struct status *status)
{
    uint64_t class, subject, detail;
    if (!octets_take_number(input, 5, &class) || !octets_take_number(input, 999, &subject) ||
        !octets_take_number(input, 999, &detail) || class == 1 || class == 3)
        return false;
    *status = (struct status){ (uint8_t) class, (uint16_t)subject, (uint16_t)detail };
    return true;
}

bool outcome_decode(struct arena *arena, slice *input, struct outcome *o)
{
    *o = (struct outcome){ 0 };
    if (input->len == 0 || input->ptr[0] != OUTCOME_VERSION)
        return false;
    *input = slice_tail(*input, 1);
    uint64_t action, stage, reply_code;
    if (!octets_take_number(input, ACTION_FAILED << 2 | 3, &action) ||
        !octets_take_number(input, STAGE_POLICY, &stage) || !take_status(input, &o->status) ||
        !octets_take_number(input, UINT16_MAX, &reply_code))
        return false;
    o->action = (enum action)(action >> 2);
    o->status_was_told = action & 2;
    o->expired = action & 1;
    o->stage = (enum delivery_stage)stage;
    o->reply_code = (uint16_t)reply_code;
    return octets_take_slice(input, arena, &o->text) && octets_take_slice(input, arena, &o->remote_name) &&
           octets_take_slice(input, arena, &o->remote_address) && octets_take_slice(input, arena, &o->tls);
}

void outcome_copy(struct arena *arena, struct outcome *to, const struct outcome *from)
{
    struct outcome copy = *from;
    copy.text = arena_copy(arena, from->text);
    copy.remote_name = arena_copy(arena, from->remote_name);
    copy.remote_address = arena_copy(arena, from->remote_address);
    copy.tls = arena_copy(arena, from->tls);
    *to = copy;
}
