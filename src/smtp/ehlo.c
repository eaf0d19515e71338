#include "smtp/ehlo.h"
#include "base/text.h"

static const struct extension_keyword {
    slice keyword;
    enum extension extension;
} keywords[] = {
    { LIT("SIZE"), EXTENSION_SIZE },
    { LIT("8BITMIME"), EXTENSION_8BITMIME },
    { LIT("PIPELINING"), EXTENSION_PIPELINING },
    { LIT("ENHANCEDSTATUSCODES"), EXTENSION_ENHANCEDSTATUSCODES },
    { LIT("STARTTLS"), EXTENSION_STARTTLS },
    { LIT("AUTH"), EXTENSION_AUTH },
    { LIT("DSN"), EXTENSION_DSN },
    { LIT("SMTPUTF8"), EXTENSION_SMTPUTF8 },
    { LIT("CHUNKING"), EXTENSION_CHUNKING },
    { LIT("BINARYMIME"), EXTENSION_BINARYMIME },
};

static void take_line(slice line, struct ehlo *ehlo)
{
    slice keyword, parameters = slice_trim(slice_cut(slice_trim(line), ' ', &keyword, NULL));
    for (size_t i = 0; i < COUNT(keywords); i++) {
        if (!slice_eq_nocase(keyword, keywords[i].keyword))
            continue;
        ehlo->extensions |= keywords[i].extension;
        if (keywords[i].extension == EXTENSION_AUTH)
            ehlo->auth = parameters;
        /* RFC 1870 §4: 0 or nothing means no fixed limit; what is no number tells nothing either. */
        if (keywords[i].extension == EXTENSION_SIZE && !parse_u64(parameters, &ehlo->size_max))
            ehlo->size_max = 0;
    }
    /* "AUTH=LOGIN PLAIN": drafts before RFC 2554; old servers say it alone. */
    if (slice_starts_with_nocase(line, SLICE("AUTH=")) && !ehlo_has(ehlo, EXTENSION_AUTH)) {
        ehlo->extensions |= EXTENSION_AUTH;
        ehlo->auth = slice_trim(slice_tail(line, 5));
    }
}

void ehlo_parse(slice text, struct ehlo *ehlo)
{
    *ehlo = (struct ehlo){ 0 };
    slice line, rest = slice_cut(text, '\n', &line, NULL);
    slice_cut(slice_trim(line), ' ', &ehlo->name, NULL);
    while (rest.len) {
        rest = slice_cut(rest, '\n', &line, NULL);
        take_line(slice_trim(line), ehlo);
    }
}
