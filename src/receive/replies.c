#include "receive/replies.h"

#define REPLY_ROW(name, code, class, subject, detail, text) [REPLY_##name] = { code, { class, subject, detail }, text },
const struct reply replies[REPLY_NAMES] = { REPLIES(REPLY_ROW) };

static const enum reply_name path_replies[] = {
    [PATH_OK] = REPLY_OK,
    [PATH_NO_BRACKETS] = REPLY_PATH_NO_BRACKETS,
    [PATH_BAD_LOCAL_PART] = REPLY_PATH_BAD_LOCAL_PART,
    [PATH_BAD_DOMAIN] = REPLY_PATH_BAD_DOMAIN,
    [PATH_TOO_LONG] = REPLY_PATH_TOO_LONG,
    [PATH_NO_DOMAIN] = REPLY_PATH_NO_DOMAIN,
    [PATH_NEEDS_UTF8] = REPLY_PATH_NEEDS_UTF8,
};
_Static_assert(COUNT(path_replies) == PATH_NEEDS_UTF8 + 1, "every path_error needs a reply");

enum reply_name reply_for_path(enum path_error error)
{
    assert(error < COUNT(path_replies));
    return path_replies[error];
}
