#include "programs/ctl/print.h"
#include "base/clock.h"
#include <stdlib.h>
#include <unistd.h>

bool print_has_colour(void)
{
    static int known = -1;
    if (known < 0) {
        const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");
        known = isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && terminal && strcmp(terminal, "dumb") != 0;
    }
    return known == 1;
}

void text_add_harmless(struct text *to, slice s)
{
    while (s.len) {
        size_t octets = slice_utf8_character(s);
        unsigned char first = (unsigned char)s.ptr[0];
        /* C0, DEL, and the C1 controls U+0080-009F, which some terminals obey too */
        bool is_control =
            first < 0x20 || first == 0x7f || (octets == 2 && first == 0xC2 && (unsigned char)s.ptr[1] < 0xA0);
        if (octets == 0 || is_control)
            text_add_byte(to, first == '\t' ? ' ' : '?');
        else
            text_add(to, slice_head(s, octets));
        s = slice_tail(s, size_max(octets, 1));
    }
}

void print_plain(slice s) { print_styled(STYLE_PLAIN, s); }

void print_styled(enum print_style style, slice s)
{
    static const char *codes[] = {
        [STYLE_STRONG] = "1", [STYLE_FAINT] = "2", [STYLE_GOOD] = "32", [STYLE_WARNING] = "33", [STYLE_BAD] = "31",
    };
    bool has_colour = style != STYLE_PLAIN && print_has_colour();
    struct text harmless = { 0 };
    if (has_colour)
        text_add_format(&harmless, "\x1b[%sm", codes[style]);
    text_add_harmless(&harmless, s);
    if (has_colour)
        text_add(&harmless, SLICE("\x1b[0m"));
    print_raw(text_slice(&harmless));
    text_free(&harmless);
}

void print_raw(slice s)
{
    if (s.len)
        fwrite(s.ptr, 1, s.len, stdout);
}

slice json_text(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);
    return json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value)) : (slice){ 0 };
}

uint64_t json_number(const json_t *object, const char *field)
{
    json_int_t number = json_integer_value(json_object_get(object, field));
    return number > 0 ? (uint64_t)number : 0;
}

bool json_is_set(const json_t *object, const char *field) { return json_is_true(json_object_get(object, field)); }

void text_add_when(struct text *to, uint64_t wall_ms, uint64_t now_ms)
{
    uint64_t distance = wall_ms > now_ms ? wall_ms - now_ms : now_ms - wall_ms;
    if (distance < SECONDS(1)) {
        text_add(to, SLICE("now"));
        return;
    }
    if (wall_ms > now_ms)
        text_add(to, SLICE("in "));
    text_add_duration_words(to, distance);
    if (wall_ms < now_ms)
        text_add(to, SLICE(" ago"));
}

void text_add_size_short(struct text *to, uint64_t octets)
{
    static const char units[] = "BKMGTP";
    size_t unit = 0;
    double size = (double)octets;
    for (; size >= 1024 && unit + 2 < sizeof(units); unit++)
        size /= 1024;
    text_add_format(to, unit && size < 10 ? "%.1f%c" : "%.0f%c", size, units[unit]);
}

void print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT);
    putchar('\n');
}
