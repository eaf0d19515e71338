#include "base/memory.h"
#include "receive/fake_world.h"
#include <stdlib.h>
/*
 * Octets in, the whole state machine under them. The first octet chooses the listener and what goes wrong; 0xff and a
 * number in the input are the client's other doings: time that passes, a turn of the loop, a handshake, a hang-up.
 * What is checked: the sanitizers' business, that nothing is accepted twice, and that every draft comes to an end.
 */
static void act(struct world *w, struct stream *client, uint8_t what)
{
    switch (what % 8) {
    case 0: world_turn(w); break;
    case 1: world_pass(w, 1000); break;
    case 2: world_pass(w, 400000); break;
    case 3: world_finish_handshake(client, what & 8); break;
    case 4: w->commits_wait = what & 8; break;
    case 5: w->answers_wait = what & 8; break;
    case 6: world_stop_reading(client, what & 8); break;
    case 7: what & 8 ? world_hang_up(client) : world_break(client); break;
    }
}

static void play(struct world *w, struct stream *client, slice input)
{
    while (input.len > 0 && !world_is_closed(client)) {
        slice octets;
        input = slice_cut(input, (char)0xff, &octets, NULL);
        world_send(client, octets);
        if (input.len == 0)
            break;
        act(w, client, (uint8_t)input.ptr[0]);
        input = slice_tail(input, 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct world *w = world_new("  max_message_size: 64K\n  max_header_size: 16K\n  max_recipients: 100\n");
    w->append_result = data[0] & 16 ? SPOOL_FULL : SPOOL_OK;
    w->commit_result = data[0] & 32 ? SPOOL_BROKEN : SPOOL_OK;
    struct stream *client = world_connect(w, data[0] & 3, data[0] & 4 ? "192.0.2.1" : "2001:db8::1");
    play(w, client, slice_from((const char *)data + 1, size - 1));
    w->commits_wait = w->answers_wait = false;
    world_stop_reading(client, false);
    world_turn(w);
    world_hang_up(client);
    world_pass(w, 8000);
    if (w->drafts_open != 0 || w->accepted != w->seen_count || receiver_session_count(w->receiver) != 0)
        abort();
    world_free(w);
    return 0;
}
