#include "smtp/scan.h"
#include <emmintrin.h>
/*
 * scan_x86 - 16 octets a step with SSE2, which every x86-64 processor has.
 */
static __m128i load(const char *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

static unsigned line_end_mask(const char *p)
{
    __m128i octets = load(p);
    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(octets, _mm_set1_epi8('\r')), _mm_cmpeq_epi8(octets, _mm_set1_epi8('\n'))));
}

/* An octet >= 0x80 has its top bit set, which is what movemask collects: nothing needs to be compared for it. */
static unsigned special_mask(const char *p)
{
    __m128i octets = load(p);
    __m128i line_ends =
        _mm_or_si128(_mm_cmpeq_epi8(octets, _mm_set1_epi8('\r')), _mm_cmpeq_epi8(octets, _mm_set1_epi8('\n')));
    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_or_si128(octets, line_ends), _mm_cmpeq_epi8(octets, _mm_setzero_si128())));
}

size_t scan_line_end(slice s)
{
    size_t at = 0;
    for (; s.len - at >= 16; at += 16) {
        unsigned mask = line_end_mask(s.ptr + at);
        if (mask)
            return at + (size_t)__builtin_ctz(mask);
    }
    while (at < s.len && s.ptr[at] != '\r' && s.ptr[at] != '\n')
        at++;
    return at;
}

size_t scan_special(slice s)
{
    size_t at = 0;
    for (; s.len - at >= 16; at += 16) {
        unsigned mask = special_mask(s.ptr + at);
        if (mask)
            return at + (size_t)__builtin_ctz(mask);
    }
    while (at < s.len && s.ptr[at] != '\r' && s.ptr[at] != '\n' && (signed char)s.ptr[at] > 0)
        at++;
    return at;
}
