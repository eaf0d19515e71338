#include "programs/mta/control_item.h"
#include "base/json.h"
#include "programs/ctl/protocol.h"
#include <unistd.h>

_Static_assert(COUNT(((struct status_sum *)NULL)->busiest) == STATUS_DESTINATIONS, "as the protocol says");

static void add_mailbox_field(struct text *to, slice name, struct path path)
{
    struct text mailbox = { 0 };
    if (!path_is_null(path))
        text_add_mailbox(&mailbox, path);
    json_add_field_string(to, name, text_slice(&mailbox));
    text_free(&mailbox);
}

static const char *recipient_state(const struct spool_recipient *state)
{
    if (!state->is_final)
        return state->attempts ? "deferred" : "waiting";
    return action_name(state->last.action);
}

static void add_outcome(struct text *to, const struct outcome *outcome)
{
    struct text status = { 0 };
    if (outcome->status.class)
        text_add_status(&status, outcome->status);
    json_add_field_string(to, SLICE("stage"), slice_from_cstr(delivery_stage_name(outcome->stage)));
    json_add_field_string(to, SLICE("status"), text_slice(&status));
    json_add_field_u64(to, SLICE("reply_code"), outcome->reply_code);
    json_add_field_string(to, SLICE("reply"), outcome->text);
    json_add_field_string(to, SLICE("remote"), outcome->remote_name);
    json_add_field_string(to, SLICE("remote_address"), outcome->remote_address);
    json_add_field_string(to, SLICE("tls"), outcome->tls);
    text_free(&status);
}

static void add_recipient(struct text *to, const struct control_loop *loop, const struct spool_message *message,
                          size_t i)
{
    const struct recipient *recipient = &message->envelope->recipients[i];
    const struct spool_recipient *state = &message->recipients[i];
    if (to->ptr[to->len - 1] != '[')
        text_add_byte(to, ',');
    text_add_byte(to, '{');
    add_mailbox_field(to, SLICE("forward_path"), recipient->forward_path);
    if (!path_eq(recipient->original, recipient->forward_path))
        add_mailbox_field(to, SLICE("original"), recipient->original);
    json_add_field_string(to, SLICE("state"), slice_from_cstr(recipient_state(state)));
    json_add_field_u64(to, SLICE("attempts"), state->attempts);
    json_add_field_u64(to, SLICE("next_attempt_ms"), schedule_recipient_next_attempt_ms(loop->schedule, message, i));
    if (state->last.action != ACTION_NONE)
        add_outcome(to, &state->last);
    text_add_byte(to, '}');
}

static uint64_t most_attempts(const struct spool_message *message)
{
    uint64_t most = 0;
    for (size_t i = 0; i < message->envelope->recipient_count; i++)
        most = size_max(most, message->recipients[i].attempts);
    return most;
}

/* Open recipients first: where a list is cut, the finished ones are what nobody looks for. */
static void add_recipients(struct text *to, const struct control_loop *loop, const struct spool_message *message,
                           uint64_t most)
{
    json_add_name(to, SLICE("recipients"));
    text_add_byte(to, '[');
    for (int finals = 0; finals <= 1; finals++)
        for (size_t i = 0; i < message->envelope->recipient_count && most > 0; i++)
            if (message->recipients[i].is_final == (finals == 1)) {
                add_recipient(to, loop, message, i);
                most--;
            }
    text_add_byte(to, ']');
}

void text_add_message_item(struct text *to, const struct control_loop *loop, const struct spool_message *message,
                           uint64_t recipients)
{
    const struct envelope *envelope = message->envelope;
    struct text id = { 0 };
    text_add_message_id(&id, message->id);
    text_add_byte(to, '{');
    json_add_field_string(to, SLICE("message"), text_slice(&id));
    text_free(&id);
    json_add_field_string(to, SLICE("state"), slice_from_cstr(schedule_state(loop->schedule, message)));
    add_mailbox_field(to, SLICE("reverse_path"), envelope->reverse_path);
    json_add_field_string(to, SLICE("account"), envelope->account);
    json_add_field_string(to, SLICE("client_name"), envelope->client_name);
    json_add_field_string(to, SLICE("client_address"), envelope->client_address);
    json_add_field_string(to, SLICE("helo"), envelope->helo);
    json_add_field_string(to, SLICE("listener"), envelope->listener);
    json_add_field_string(to, SLICE("envelope_id"), envelope->envelope_id);
    json_add_field_u64(to, SLICE("size_octets"), message->content_octets);
    json_add_field_u64(to, SLICE("arrived_ms"), envelope->arrived_ms);
    json_add_field_u64(to, SLICE("next_attempt_ms"), schedule_next_attempt_ms(loop->schedule, message));
    json_add_field_u64(to, SLICE("attempts"), most_attempts(message));
    json_add_field_bool(to, SLICE("held"), message->held);
    json_add_field_u64(to, SLICE("open_recipients"), message->open_recipients);
    json_add_field_u64(to, SLICE("recipient_count"), envelope->recipient_count);
    add_recipients(to, loop, message, recipients);
}

static uint64_t weight(const struct destination_line *line) { return line->waiting + line->deferred; }

static void keep_if_busy(struct status_sum *sum, const struct schedule_destination_info *info)
{
    struct destination_line line = { .waiting = info->waiting,
                                     .deferred = info->deferred,
                                     .connections = info->connections,
                                     .retry_ms = info->retry_ms,
                                     .is_suspended = info->suspended };
    size_t place = sum->busiest_count;
    while (place > 0 && weight(&sum->busiest[place - 1]) < weight(&line))
        place--;
    if (weight(&line) + info->connections == 0 || place >= COUNT(sum->busiest))
        return;
    if (sum->busiest_count == COUNT(sum->busiest))
        text_free(&sum->busiest[--sum->busiest_count].name);
    memmove(&sum->busiest[place + 1], &sum->busiest[place], (sum->busiest_count - place) * sizeof(line));
    text_add(&line.name, info->name);
    sum->busiest[place] = line;
    sum->busiest_count++;
}

static void add_destination(void *context, const struct schedule_destination_info *info)
{
    struct status_sum *sum = context;
    sum->destinations++;
    sum->waiting += info->waiting;
    sum->deferred += info->deferred;
    sum->connections += info->connections;
    sum->suspended += info->suspended;
    keep_if_busy(sum, info);
}

void status_sum_add(struct status_sum *sum, const struct control_loop *loop)
{
    struct spool_statistics own = { 0 };
    spool_get_statistics(loop->spool, &own);
    sum->spool.messages += own.messages;
    sum->spool.live_octets += own.live_octets;
    sum->spool.segments += own.segments;
    sum->spool.disk_octets += own.disk_octets;
    sum->spool.groups += own.groups;
    sum->spool.syncs += own.syncs;
    sum->spool.memory_octets += own.memory_octets;
    sum->is_broken |= spool_is_broken(loop->spool);
    sum->is_full |= spool_has_room(loop->spool, 0) == SPOOL_FULL;
    schedule_each_destination(loop->schedule, add_destination, sum);
    if (loop->receiver)
        sum->sessions += receiver_session_count(loop->receiver);
    for (size_t i = 0; loop->events && i < EVENT_KINDS; i++)
        sum->events[i] += event_count(loop->events, (enum event_kind)i);
}

static void add_events(struct text *to, const struct status_sum *sum)
{
    json_add_name(to, SLICE("events"));
    text_add_byte(to, '{');
    for (size_t i = 0; i < EVENT_KINDS; i++)
        if (sum->events[i])
            json_add_field_u64(to, slice_from_cstr(event_name((enum event_kind)i)), sum->events[i]);
    text_add_byte(to, '}');
}

static void add_busiest(struct text *to, const struct status_sum *sum)
{
    json_add_name(to, SLICE("busiest"));
    text_add_byte(to, '[');
    for (size_t i = 0; i < sum->busiest_count; i++) {
        const struct destination_line *line = &sum->busiest[i];
        text_add(to, i ? SLICE(",{") : SLICE("{"));
        json_add_field_string(to, SLICE("name"), text_slice(&line->name));
        json_add_field_u64(to, SLICE("waiting"), line->waiting);
        json_add_field_u64(to, SLICE("deferred"), line->deferred);
        json_add_field_u64(to, SLICE("connections"), line->connections);
        json_add_field_bool(to, SLICE("suspended"), line->is_suspended);
        json_add_field_u64(to, SLICE("retry_ms"), line->retry_ms);
        text_add_byte(to, '}');
    }
    text_add_byte(to, ']');
}

void text_add_status_item(struct text *to, const struct status_sum *sum, size_t loops, uint64_t started_ms)
{
    text_add_byte(to, '{');
    json_add_field_string(to, SLICE("version"), SLICE(POSTRIDER_VERSION));
    json_add_field_u64(to, SLICE("pid"), (uint64_t)getpid());
    json_add_field_u64(to, SLICE("started_ms"), started_ms);
    json_add_field_u64(to, SLICE("loops"), loops);
    json_add_field_u64(to, SLICE("sessions"), sum->sessions);
    json_add_field_u64(to, SLICE("messages"), sum->spool.messages);
    json_add_field_u64(to, SLICE("waiting"), sum->waiting);
    json_add_field_u64(to, SLICE("deferred"), sum->deferred);
    json_add_field_u64(to, SLICE("connections"), sum->connections);
    json_add_field_u64(to, SLICE("destinations"), sum->destinations);
    json_add_field_u64(to, SLICE("suspended_destinations"), sum->suspended);
    json_add_field_u64(to, SLICE("live_octets"), sum->spool.live_octets);
    json_add_field_u64(to, SLICE("disk_octets"), sum->spool.disk_octets);
    json_add_field_u64(to, SLICE("memory_octets"), sum->spool.memory_octets);
    json_add_field_u64(to, SLICE("segments"), sum->spool.segments);
    json_add_field_u64(to, SLICE("groups"), sum->spool.groups);
    json_add_field_u64(to, SLICE("syncs"), sum->spool.syncs);
    json_add_field_string(to, SLICE("spool"),
                          sum->is_broken ? SLICE("broken")
                          : sum->is_full ? SLICE("full")
                                         : SLICE("ok"));
    add_events(to, sum);
    add_busiest(to, sum);
    text_add_byte(to, '}');
}

void status_sum_clear(struct status_sum *sum)
{
    for (size_t i = 0; i < sum->busiest_count; i++)
        text_free(&sum->busiest[i].name);
    *sum = (struct status_sum){ 0 };
}
