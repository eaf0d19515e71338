#include "deliver/verdict.h"

/* Only codes whose meaning RFC 5321 §4.2.3, RFC 7504 and (552 outside RCPT) RFC 1870 §6.1 fix; 550 and 554 stand for
 * anything. */
static const struct {
    uint16_t code, subject, detail;
} meanings[] = {
    { 421, 3, 2 }, { 450, 2, 0 },  { 451, 3, 0 }, { 452, 3, 1 }, { 454, 7, 0 }, { 455, 5, 4 }, { 500, 5, 2 },
    { 501, 5, 4 }, { 502, 5, 1 },  { 503, 5, 1 }, { 504, 5, 4 }, { 521, 3, 2 }, { 530, 7, 0 }, { 534, 7, 9 },
    { 535, 7, 8 }, { 538, 7, 11 }, { 551, 1, 6 }, { 552, 3, 4 }, { 553, 1, 3 }, { 555, 5, 4 }, { 556, 1, 10 },
};

static struct status status_from_code(uint8_t class, uint16_t code)
{
    for (size_t i = 0; i < COUNT(meanings); i++)
        if (meanings[i].code == code)
            return (struct status){ class, meanings[i].subject, meanings[i].detail };
    return (struct status){ class, 0, 0 };
}

/* RFC 5321 §4.5.3.1.10: an old server's "552 too many recipients" is meant as 452. "552 5.2.2 over quota" is not. */
static bool is_too_many_recipients(enum delivery_stage stage, const struct reply_reader *reply)
{
    return stage == STAGE_RCPT && reply->code == 552 && (reply->status.class != 5 || status_is(reply->status, 5, 5, 3));
}

struct outcome verdict_from_reply(enum delivery_stage stage, const struct reply_reader *reply)
{
    bool too_many_recipients = is_too_many_recipients(stage, reply);
    bool is_permanent = reply_is_permanent(reply->code) && !too_many_recipients;
    uint8_t class = is_permanent ? 5 : 4;
    struct outcome o = {
        .action = is_permanent ? ACTION_FAILED : ACTION_DELAYED,
        .stage = stage,
        .reply_code = reply->code,
        .text = text_slice(&reply->text),
    };
    if (too_many_recipients)
        o.status = (struct status){ 4, 5, 3 };
    else if (reply->status.class == class)
        o.status = reply->status, o.status_was_told = true;
    else if (reply_is_transient(reply->code) || is_permanent)
        o.status = status_from_code(class, reply->code);
    else
        o.status = (struct status){ 4, 5, 0 };
    return o;
}

struct outcome verdict_delayed(enum delivery_stage stage, uint16_t subject, uint16_t detail, slice text)
{
    return (struct outcome){ .action = ACTION_DELAYED, .stage = stage, .status = { 4, subject, detail }, .text = text };
}

struct outcome verdict_failed(enum delivery_stage stage, uint16_t subject, uint16_t detail, slice text)
{
    return (struct outcome){ .action = ACTION_FAILED, .stage = stage, .status = { 5, subject, detail }, .text = text };
}
