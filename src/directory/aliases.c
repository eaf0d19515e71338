#include "base/arena.h"
#include "directory/directory.h"
/*
 * aliases - the plain alias file, as aliases(5) has it, without what makes it dangerous: no programs, no files, no
 * :include:.
 *
 *     # comment
 *     info:  ann@example.org, bob
 *     staff: ann, bob,
 *            carol@example.net
 */
enum { ALIAS_OCTETS_MAX = 1024 * 1024, ALIAS_TARGETS_MAX = 1000 };

struct alias_reader {
    struct directory *directory;
    slice domain;
    struct text *error;
    struct arena scratch; /* of one alias */
};

/* The offset of the first `wanted` outside quotes, or SLICE_NOT_FOUND. */
static size_t find_outside_quotes(slice text, char wanted)
{
    bool is_quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\' && is_quoted)
            i++;
        else if (text.ptr[i] == '"')
            is_quoted = !is_quoted;
        else if (text.ptr[i] == wanted && !is_quoted)
            return i;
    }
    return SLICE_NOT_FOUND;
}

static bool refuse(struct alias_reader *r, slice what, const char *why)
{
    enum { SHOWN_MAX = 60 };
    what = slice_head(what, SHOWN_MAX);
    if (!slice_is_utf8(what))
        what = SLICE("");
    text_add_format(r->error, "\"" SLICE_FMT "\" %s", SLICE_ARG(what), why);
    return false;
}

static const char *address_problem(enum path_error error)
{
    static const char *const problems[] = {
        [PATH_OK] = "",
        [PATH_NO_BRACKETS] = "is not an address",
        [PATH_NO_DOMAIN] = "is not an address",
        [PATH_BAD_LOCAL_PART] = "is not an address: what stands before the @ is not valid (needs it quotes?)",
        [PATH_BAD_DOMAIN] = "is not an address: its domain is not valid",
        [PATH_TOO_LONG] = "is longer than an address can be",
        [PATH_NEEDS_UTF8] = "is not an address",
    };
    return problems[error];
}

/* "ann" -> "ann@DOMAIN"; empty after a refusal. */
static slice whole_address(struct alias_reader *r, slice name)
{
    slice address = name;
    if (find_outside_quotes(name, '@') == SLICE_NOT_FOUND)
        address = arena_format(&r->scratch, SLICE_FMT "@" SLICE_FMT, SLICE_ARG(name), SLICE_ARG(r->domain));
    enum path_error error = mailbox_parse(address, true).error;
    if (error == PATH_OK)
        return address;
    (void)refuse(r, name, address_problem(error));
    return SLICE("");
}

static slice read_target(struct alias_reader *r, slice target)
{
    slice inner = target.len && target.ptr[0] == '"' ? slice_tail(target, 1) : target;
    if (slice_starts_with(inner, SLICE("|")))
        (void)refuse(r, target, "would run a program: that is not supported");
    else if (slice_starts_with(inner, SLICE("/")))
        (void)refuse(r, target, "would write to a file: that is not supported");
    else if (slice_starts_with_nocase(inner, SLICE(":include:")))
        (void)refuse(r, target, "would read another file: that is not supported, write its lines here");
    else if (target.len > 1 &&
             target.ptr[0] == '\\') /* aliases(5): no further expansion; ours end at the mailbox anyway */
        return whole_address(r, slice_tail(target, 1));
    else
        return whole_address(r, target);
    return SLICE("");
}

static bool read_alias(struct alias_reader *r, slice line)
{
    size_t colon = find_outside_quotes(line, ':');
    if (colon == SLICE_NOT_FOUND)
        return refuse(r, line, "is not `name: target, target`");
    slice name = slice_trim_lines(slice_head(line, colon)), rest = slice_tail(line, colon + 1);
    slice address = whole_address(r, name);
    if (address.len == 0)
        return false;
    if (!slice_eq_nocase(slice_tail(address, slice_find_byte_last(address, '@') + 1), r->domain))
        return refuse(r, name, "is a name of another domain");
    if (directory_has_name(r->directory, address))
        return refuse(r, name, "is an alias already");
    slice *targets = ARENA_NEW_ARRAY(&r->scratch, slice, ALIAS_TARGETS_MAX);
    size_t count = 0;
    while (rest.len) {
        size_t comma = find_outside_quotes(rest, ',');
        slice target = slice_trim_lines(slice_head(rest, comma));
        rest = comma == SLICE_NOT_FOUND ? SLICE("") : slice_tail(rest, comma + 1);
        if (target.len == 0)
            continue;
        if (count == ALIAS_TARGETS_MAX)
            return refuse(r, name, "has more than 1000 targets");
        targets[count] = read_target(r, target);
        if (targets[count++].len == 0)
            return false;
    }
    if (count == 0)
        return refuse(r, name, "has no target");
    directory_add_alias(r->directory, address, targets, count);
    return true;
}

/* The alias gathered from a line and those that continue it; `number` is that of its first line. */
static bool end_alias(struct alias_reader *r, struct text *gathered, size_t number)
{
    size_t start = r->error->len;
    bool ok = gathered->len == 0 || read_alias(r, text_slice(gathered));
    if (!ok) {
        struct text message = { 0 };
        text_add_format(&message, "line %zu: ", number);
        text_add(&message, slice_tail(text_slice(r->error), start));
        r->error->len = start;
        text_add(r->error, text_slice(&message));
        text_free(&message);
    }
    text_clear(gathered);
    arena_reset(&r->scratch);
    return ok;
}

bool directory_add_alias_text(struct directory *directory, slice domain, slice text, struct text *error)
{
    struct alias_reader r = { .directory = directory, .domain = domain, .error = error };
    struct text gathered = { 0 };
    size_t number = 0, first = 0;
    slice line;
    bool ok = true;
    while (ok && slice_next_line(&text, &line)) {
        number++;
        slice content = slice_trim_lines(line);
        if (content.len == 0 || content.ptr[0] == '#')
            continue;
        bool continues = gathered.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
        if (!continues) {
            ok = end_alias(&r, &gathered, first);
            first = number;
        }
        if (gathered.len + content.len > ALIAS_OCTETS_MAX) {
            text_add_format(error, "line %zu: the alias is longer than 1 MiB", number);
            ok = false;
        } else {
            text_add_cstr(&gathered, gathered.len ? " " : "");
            text_add(&gathered, content);
        }
    }
    ok = ok && end_alias(&r, &gathered, first);
    text_free(&gathered);
    arena_free(&r.scratch);
    return ok;
}
