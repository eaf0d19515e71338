#pragma once
#include "base/slice.h"
/*
 * dot - transparency of the content in DATA, RFC 5321 §4.5.2, both ways, in pieces of any size, without copying.
 *
 * Reading: network octets in, runs of content out (leading dots removed, the final CRLF of the content included). Data
 * ends at CRLF "." CRLF only, where the first CRLF may be that of the DATA command; a dot behind a bare LF or CR is
 * content (SMTP smuggling). What a strict server refuses is told in `flags`: the policy is the caller's.
 *
 *     while (dot_reader_next(&reader, &input, &run))
 *         append(run);
 *     if (reader.has_ended) ...        // input starts behind the final CRLF
 *
 * Writing: content in, runs to send out (dots doubled). A bare CR or LF in the content is sent as CRLF, so that no
 * receiver, however lenient, sees an end of data in it. Content without a line that begins with a dot is one run: the
 * input itself.
 */
enum { DOT_BARE_CR = 1, DOT_BARE_LF = 2, DOT_NUL = 4, DOT_8BIT = 8 };
enum { TEXT_LINE_MAX = 998 }; /* §4.5.3.1.6, without CRLF */
struct dot_reader {           /* {0} is ready for the octets behind DATA's CRLF */
    uint64_t octets;          /* of content so far */
    uint64_t longest_line;    /* octets, without line end, leading dot removed; only lines that have ended */
    uint64_t line_octets;     /* of the line begun */
    unsigned flags;           /* DOT_BARE_CR... */
    bool has_ended;
    uint8_t state;
};
/* The next run of content; false: *input is used up, or has_ended. A run points into the input (or at a constant). */
MUST_CHECK bool dot_reader_next(struct dot_reader *, slice *input, slice *run);

struct dot_writer { /* {0} at the start of the content */
    uint8_t state;
    bool dot_is_doubled;
};
/* The next run to send; false: *input is used up. Runs point into the input (or at constants). */
MUST_CHECK bool dot_writer_next(struct dot_writer *, slice *input, slice *run);
/* What ends the data: ".\r\n", with a CRLF before it when the content lacked its own. */
slice dot_writer_end(const struct dot_writer *);
