#pragma once
#include "base/text.h"
/*
 * header - the header section of a message (RFC 5322 §2.2, §3.6).
 *
 * Scanning: while content arrives, in pieces of any size, constant memory. The section ends with the empty line
 * (counted) or before the first line that is neither field nor continuation (as every mail store reads such a message).
 * Reading: over a whole section at hand, field by field, nothing copied.
 *
 * Lines end in CRLF; a bare LF or CR is an octet like others here.
 */
enum header_presence {
    HEADER_HAS_FROM = 1,
    HEADER_HAS_DATE = 2,
    HEADER_HAS_MESSAGE_ID = 4,
    HEADER_HAS_SUBJECT = 8,
    HEADER_HAS_SENDER = 16,
    HEADER_HAS_TO = 32,
    HEADER_HAS_BCC = 64,
    HEADER_HAS_RETURN_PATH = 128,
    HEADER_HAS_AUTO_SUBMITTED = 256,
};
enum { HEADER_NAME_SCANNED_MAX = 32, HEADER_MESSAGE_ID_MAX = 255 };
struct header_scan { /* {0} is ready */
    uint64_t octets; /* of the section, empty line included, once has_ended; else of what was seen */
    uint32_t received_count;
    uint32_t field_count;
    unsigned has; /* HEADER_HAS_... */
    bool has_ended;
    bool has_empty_line; /* false with has_ended: the section ended at a line that is no field */
    uint8_t message_id_length;
    char message_id[HEADER_MESSAGE_ID_MAX]; /* of the first Message-ID, trimmed; cut at its end when longer */
    /* private */
    uint64_t line_start;
    bool in_message_id;
    uint8_t state, name_length;
    char name[HEADER_NAME_SCANNED_MAX];
};
/* The next piece of the content. Does nothing once has_ended. */
void header_scan_feed(struct header_scan *, slice content);
/* The content is over: a section without an empty line ends here. */
void header_scan_end(struct header_scan *);
static inline slice header_scan_message_id(const struct header_scan *s)
{
    return slice_from(s->message_id, s->message_id_length);
}

struct header_field {
    slice name;  /* as written, without colon and white space before it */
    slice value; /* raw: folds inside, without the white space around and the last CRLF */
    slice whole; /* name to last CRLF */
};
/* The header section at the start of a content, empty line included; all of it where there is no empty line. */
slice header_section(slice content);
/* The next field of *rest; false at the empty line, at a line that is no field, or at the end. */
MUST_CHECK bool header_next_field(slice *rest, struct header_field *);
/* The first field of that name (without case); its raw value, empty where there is none. */
slice header_find(slice section, slice name);
/* The value on one line: CRLFs removed (RFC 5322 §2.2.3), other control characters as spaces. */
void text_add_unfolded(struct text *, slice value);
/* The same for people: encoded words (RFC 2047 §2) of UTF-8, US-ASCII and ISO-8859-1 decoded; others stay as they are.
 */
void text_add_decoded(struct text *, slice value);
