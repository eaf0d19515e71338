#include "base/text.h"
#include "smtp/dot.h"
#include <stdlib.h>
/*
 * dot_fuzz - the first octet says how the rest is cut into pieces. The rest is read as network octets against a plain
 * reference, and written as content: whatever it holds, what was written ends where it should and nowhere else, even
 * for a receiver that takes bare line ends for real ones; clean content comes back as it was.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
    if (!fact)
        abort();
}

static size_t read_pieces(struct dot_reader *reader, slice wire, size_t piece, struct text *content)
{
    size_t used = 0;
    while (used < wire.len && !reader->has_ended) {
        slice input = slice_head(slice_tail(wire, used), piece), run;
        size_t before = input.len;
        while (dot_reader_next(reader, &input, &run)) {
            must(run.len > 0);
            text_add(content, run);
        }
        used += before - input.len;
    }
    return used;
}

/* The rule in its plainest form; returns where the data ends, SLICE_NOT_FOUND when it does not. */
static size_t reference(slice wire, struct text *content)
{
    bool at_start = true;
    for (size_t i = 0; i < wire.len; i++) {
        if (at_start && wire.ptr[i] == '.') {
            if (slice_starts_with(slice_tail(wire, i), SLICE(".\r\n")))
                return i + 3;
            at_start = false;
            continue;
        }
        text_add_byte(content, wire.ptr[i]);
        at_start = wire.ptr[i] == '\n' && i > 0 && wire.ptr[i - 1] == '\r';
    }
    return SLICE_NOT_FOUND;
}

static void check_reading(slice wire, size_t piece)
{
    struct dot_reader reader = { 0 };
    struct text content = { 0 }, wanted = { 0 };
    size_t used = read_pieces(&reader, wire, piece, &content), end = reference(wire, &wanted);
    must(reader.has_ended == (end != SLICE_NOT_FOUND));
    must(!reader.has_ended || used == end);
    must(reader.octets == content.len);
    /* A CR that may still belong to the end is held back: only then something is missing. */
    must(slice_starts_with(text_slice(&wanted), text_slice(&content)) && wanted.len - content.len <= 1);
    must(!reader.has_ended || wanted.len == content.len);
    must(!(reader.flags & DOT_8BIT) == slice_is_ascii(text_slice(&content)));
    must(!(reader.flags & DOT_NUL) == (slice_find_byte(text_slice(&content), '\0') == SLICE_NOT_FOUND));
    text_free(&content);
    text_free(&wanted);
}

static void check_writing(slice content, size_t piece)
{
    struct dot_writer writer = { 0 };
    struct text wire = { 0 }, back = { 0 };
    for (size_t at = 0; at < content.len; at += piece) {
        slice input = slice_head(slice_tail(content, at), piece), run;
        while (dot_writer_next(&writer, &input, &run))
            text_add(&wire, run);
    }
    text_add(&wire, dot_writer_end(&writer));

    struct dot_reader reader = { 0 };
    size_t used = read_pieces(&reader, text_slice(&wire), piece, &back);
    must(reader.has_ended && used == wire.len);
    must(!(reader.flags & (DOT_BARE_CR | DOT_BARE_LF)));
    must(back.len == 0 || slice_ends_with(text_slice(&back), SLICE("\r\n")));
    /* Was the content clean? Then it came back whole. */
    bool is_clean = content.len == 0 || slice_ends_with(content, SLICE("\r\n"));
    for (size_t i = 0; i < content.len && is_clean; i++)
        is_clean = content.ptr[i] == '\n'   ? i > 0 && content.ptr[i - 1] == '\r'
                   : content.ptr[i] == '\r' ? i + 1 < content.len && content.ptr[i + 1] == '\n'
                                            : true;
    must(!is_clean || slice_eq(text_slice(&back), content));
    text_free(&wire);
    text_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    slice octets = slice_from((const char *)data + 1, size - 1);
    check_reading(octets, (size_t)data[0] + 1);
    check_writing(octets, (size_t)data[0] + 1);
    return 0;
}
