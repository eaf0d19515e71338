#include "smtp/command.h"
#include "smtp/ehlo.h"
#include "smtp/parameters.h"
#include "smtp/reply.h"
#include <stdlib.h>
/*
 * command_fuzz - a command line with its parameters, and the same octets as a server's reply: read at once and octet by
 * octet.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
    if (!fact)
        abort();
}

static void check_values(slice value)
{
    uint64_t octets;
    enum body_type body;
    enum dsn_return dsn_return;
    unsigned notify;
    struct text decoded = { 0 }, encoded = { 0 };
    (void)!parameter_size(value, &octets);
    (void)!parameter_body(value, &body);
    (void)!parameter_ret(value, &dsn_return);
    if (parameter_notify(value, &notify))
        must(notify && notify <= (NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY));
    if (parameter_envid(value, &decoded)) {
        struct text again = { 0 };
        xtext_encode(&encoded, text_slice(&decoded));
        must(xtext_decode(&again, text_slice(&encoded)) && slice_eq(text_slice(&again), text_slice(&decoded)));
        text_free(&again);
    }
    text_clear(&decoded);
    if (!parameter_orcpt(value, &decoded) && !parameter_auth(value, &decoded))
        must(decoded.len == 0);
    for (size_t i = 0; i < decoded.len; i++)
        must(decoded.ptr[i] >= 0x20 && decoded.ptr[i] < 0x7f);
    text_free(&decoded);
    text_free(&encoded);
}

static void check_command(slice line)
{
    struct command command;
    if (command_parse(line, &command) != COMMAND_OK)
        return;
    must(command.verb.len && command.verb.len <= COMMAND_VERB_MAX);
    must(slice_find_byte(command.argument, '\n') == SLICE_NOT_FOUND &&
         slice_find_byte(command.argument, '\r') == SLICE_NOT_FOUND);
    (void)!command_cut_keyword(&command.argument, SLICE("FROM:"), NULL);
    slice rest = path_parse(command.argument, true).rest;
    struct parameter parameter;
    while (parameter_next(&rest, &parameter) == PARAMETER_OK)
        check_values(parameter.value);
}

static void check_reply(slice wire)
{
    struct reply_reader whole = { 0 }, single = { 0 };
    slice input = wire;
    enum reply_read at_once = reply_reader_feed(&whole, &input), one_by_one = REPLY_MORE;
    size_t used = 0;
    for (; used < wire.len && one_by_one == REPLY_MORE; used++)
        one_by_one = reply_reader_feed(&single, &(slice){ wire.ptr + used, 1 });
    if (at_once == REPLY_DONE) {
        must(one_by_one == REPLY_DONE && used == wire.len - input.len && whole.code == single.code);
        must(slice_eq(text_slice(&whole.text), text_slice(&single.text)));
        struct ehlo ehlo;
        ehlo_parse(text_slice(&whole.text), &ehlo);
        must(ehlo.auth.len <= whole.text.len);
    }
    must(whole.text.len <= REPLY_OCTETS_MAX + REPLY_LINES_MAX && single.line.len <= REPLY_OCTETS_MAX);
    reply_reader_free(&whole);
    reply_reader_free(&single);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = slice_from((const char *)data, size);
    check_command(input);
    check_values(input);
    check_reply(input);
    struct text reply = { 0 };
    text_add_reply_text(&reply, 550, (struct status){ 5, 7, 1 }, input);
    slice rest = text_slice(&reply), line;
    while (slice_next_line(&rest, &line))
        must(line.len + 2 <= 512 && slice_find_byte(line, '\r') == SLICE_NOT_FOUND);
    text_free(&reply);
    return 0;
}
