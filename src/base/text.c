#include "base/text.h"
#include "base/clock.h"
#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>

enum { TEXT_SMALLEST = 64 };

char *text_reserve(struct text *t, size_t octets)
{
    size_t wanted;
    if (ADD_OVERFLOWS(t->len, octets, &wanted))
        wanted = SIZE_MAX;                 /* cannot be had: memory_resize ends the process */
    if (wanted > t->capacity || !t->ptr) { /* never NULL, not even with room for nothing */
        size_t doubled;
        if (MUL_OVERFLOWS(t->capacity, (size_t)2, &doubled))
            doubled = SIZE_MAX;
        size_t capacity = size_max(size_max(wanted, doubled), TEXT_SMALLEST);
        t->ptr = memory_resize(t->ptr, capacity);
        t->capacity = capacity;
    }
    return t->ptr + t->len;
}

void text_add(struct text *t, slice s)
{
    if (s.len == 0)
        return;
    memcpy(text_reserve(t, s.len), s.ptr, s.len);
    t->len += s.len;
}

void text_add_byte(struct text *t, char byte)
{
    *text_reserve(t, 1) = byte;
    t->len++;
}

enum { U64_DIGITS = 20 };

void text_add_u64(struct text *t, uint64_t value)
{
    char digits[U64_DIGITS];
    size_t first = U64_DIGITS;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    text_add(t, slice_from(digits + first, U64_DIGITS - first));
}

void text_add_i64(struct text *t, int64_t value)
{
    if (value < 0)
        text_add_byte(t, '-');
    text_add_u64(t, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void text_add_hex(struct text *t, uint64_t value, unsigned digits)
{
    char *to = text_reserve(t, digits);
    for (unsigned i = digits; i-- > 0; value >>= 4)
        to[i] = "0123456789abcdef"[value & 15];
    t->len += digits;
}

void text_add_format(struct text *t, const char *format, ...)
{
    enum { FIRST_GUESS = 128 };
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text_reserve(t, FIRST_GUESS), FIRST_GUESS, format, arguments);
    va_end(arguments);
    if (written >= FIRST_GUESS) {
        va_start(arguments, format);
        written = vsnprintf(text_reserve(t, (size_t)written + 1), (size_t)written + 1, format, arguments);
        va_end(arguments);
    }
    if (written > 0)
        t->len += (size_t)written;
}

const char *text_cstr(struct text *t)
{
    *text_reserve(t, 1) = '\0';
    return t->ptr;
}

void text_remove_head(struct text *t, size_t octets)
{
    octets = size_min(octets, t->len);
    if (octets == 0)
        return;
    memmove(t->ptr, t->ptr + octets, t->len - octets);
    t->len -= octets;
}

void text_free(struct text *t)
{
    memory_free(t->ptr);
    *t = (struct text){ 0 };
}

/* The digits at the start of *rest, which moves behind them; false without a digit or when it does not fit. */
MUST_CHECK static bool take_u64(slice *rest, uint64_t *value)
{
    uint64_t sum = 0;
    size_t count = 0;
    for (; count < rest->len && ascii_is_digit(rest->ptr[count]); count++)
        if (MUL_OVERFLOWS(sum, (uint64_t)10, &sum) || ADD_OVERFLOWS(sum, (uint64_t)(rest->ptr[count] - '0'), &sum))
            return false;
    *rest = slice_tail(*rest, count);
    *value = sum;
    return count > 0;
}

bool parse_u64(slice s, uint64_t *value)
{
    uint64_t number;
    if (!take_u64(&s, &number) || s.len)
        return false;
    *value = number;
    return true;
}

struct unit {
    slice name;
    uint64_t worth;
    slice word; /* for one, in words */
};

static const struct unit size_units[] = {
    { LIT("T"), UINT64_C(1) << 40, LIT("") },
    { LIT("G"), UINT64_C(1) << 30, LIT("") },
    { LIT("M"), UINT64_C(1) << 20, LIT("") },
    { LIT("K"), UINT64_C(1) << 10, LIT("") },
};

bool parse_size(slice s, uint64_t *octets)
{
    uint64_t number, worth = 1;
    if (!take_u64(&s, &number))
        return false;
    for (size_t i = 0; i < COUNT(size_units); i++)
        if (slice_starts_with_nocase(s, size_units[i].name)) {
            worth = size_units[i].worth;
            s = slice_tail(s, 1);
            if (slice_eq_nocase(s, SLICE("iB")))
                s = slice_tail(s, 2);
            break;
        }
    if (slice_eq_nocase(s, SLICE("B")))
        s = slice_tail(s, 1);
    if (s.len || MUL_OVERFLOWS(number, worth, &number))
        return false;
    *octets = number;
    return true;
}

void text_add_size(struct text *t, uint64_t octets)
{
    for (size_t i = 0; i < COUNT(size_units); i++)
        if (octets && octets % size_units[i].worth == 0) {
            text_add_u64(t, octets / size_units[i].worth);
            text_add(t, size_units[i].name);
            return;
        }
    text_add_u64(t, octets);
}

static const struct unit duration_units[] = {
    { LIT("w"), DAYS(7), LIT("week") },      { LIT("d"), DAYS(1), LIT("day") },
    { LIT("h"), HOURS(1), LIT("hour") },     { LIT("m"), MINUTES(1), LIT("minute") },
    { LIT("s"), SECONDS(1), LIT("second") }, { LIT("ms"), 1, LIT("millisecond") },
};

static const struct unit *find_duration_unit(slice name)
{
    for (size_t i = 0; i < COUNT(duration_units); i++)
        if (slice_eq(name, duration_units[i].name))
            return &duration_units[i];
    return NULL;
}

bool parse_duration(slice s, uint64_t *ms)
{
    if (slice_eq(s, SLICE("0"))) {
        *ms = 0;
        return true;
    }
    uint64_t sum = 0, worth_before = UINT64_MAX;
    do {
        uint64_t number;
        if (!take_u64(&s, &number))
            return false;
        size_t letters = 0;
        while (letters < s.len && ascii_is_alpha(s.ptr[letters]))
            letters++;
        const struct unit *unit = find_duration_unit(slice_head(s, letters));
        /* Larger units first, each once: "30m1h" is more likely a slip than meant. */
        if (!unit || unit->worth >= worth_before)
            return false;
        if (MUL_OVERFLOWS(number, unit->worth, &number) || ADD_OVERFLOWS(sum, number, &sum))
            return false;
        worth_before = unit->worth;
        s = slice_tail(s, letters);
    } while (s.len);
    *ms = sum;
    return true;
}

void text_add_duration(struct text *t, uint64_t ms)
{
    if (ms == 0)
        text_add(t, SLICE("0s"));
    /* Weeks only alone ("2w"): "1w3d" is shorter than "10d" in no way. */
    size_t first = ms % DAYS(7) == 0 ? 0 : 1;
    for (size_t i = first; ms && i < COUNT(duration_units); i++) {
        const struct unit *unit = &duration_units[i];
        if (ms >= unit->worth) {
            text_add_u64(t, ms / unit->worth);
            text_add(t, unit->name);
            ms %= unit->worth;
        }
    }
}

void text_add_duration_words(struct text *t, uint64_t ms)
{
    if (ms < SECONDS(1)) {
        text_add_format(t, "%u millisecond%s", (unsigned)ms, ms == 1 ? "" : "s");
        return;
    }
    unsigned said = 0;
    for (size_t i = 1; i < COUNT(duration_units) - 1 && said < 2; i++) { /* from days to seconds */
        uint64_t number = ms / duration_units[i].worth;
        ms %= duration_units[i].worth;
        if (number == 0) {
            if (said)
                return; /* "1 day 5 seconds" tells nobody more than "1 day" */
            continue;
        }
        if (said++)
            text_add_byte(t, ' ');
        text_add_u64(t, number);
        text_add_byte(t, ' ');
        text_add(t, duration_units[i].word);
        if (number != 1)
            text_add_byte(t, 's');
    }
}

enum { DISTANCE_MAX = 64 };

/* Optimal string alignment: three rows of the table are enough. Longer words are cut: a name that long is no slip. */
size_t text_distance(slice a, slice b)
{
    size_t rows[3][DISTANCE_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    a = slice_head(a, DISTANCE_MAX);
    b = slice_head(b, DISTANCE_MAX);
    for (size_t j = 0; j <= b.len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = ascii_lower(a.ptr[i - 1]), y = ascii_lower(b.ptr[j - 1]);
            row[j] = size_min(size_min(last[j], row[j - 1]) + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == ascii_lower(b.ptr[j - 2]) && ascii_lower(a.ptr[i - 2]) == y)
                row[j] = size_min(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b.len];
}
