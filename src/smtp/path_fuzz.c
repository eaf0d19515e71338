#include "smtp/path.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
    if (!fact)
        abort();
}

/* What was parsed, written out and parsed again is the same path. */
static void check(slice input, bool utf8)
{
    struct path_parse parse = path_parse(input, utf8);
    if (parse.error != PATH_OK)
        return;
    must(parse.path.local_part.len <= LOCAL_PART_MAX && parse.path.domain.len <= DOMAIN_MAX);
    must(utf8 || (slice_is_ascii(parse.path.local_part) && slice_is_ascii(parse.path.domain)));
    must(parse.rest.len < input.len);
    struct text text = { 0 };
    text_add_path(&text, parse.path);
    for (size_t i = 0; i < text.len; i++)
        must((unsigned char)text.ptr[i] >= 0x20 && text.ptr[i] != 0x7f);
    struct path_parse again = path_parse(text_slice(&text), utf8);
    must(again.error == PATH_OK && path_eq(again.path, parse.path) && again.rest.len == 0);
    text_clear(&text);
    path_add_unquoted_local_part(&text, parse.path);
    must(text.len <= parse.path.local_part.len);
    if (parse.path.domain.len)
        must(mailbox_parse(slice_from(parse.path.local_part.ptr, parse.path.local_part.len + 1 + parse.path.domain.len),
                           utf8)
                 .error == PATH_OK);
    text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = slice_from((const char *)data, size);
    check(input, false);
    check(input, true);
    (void)mailbox_parse(input, true);
    return 0;
}
