#pragma once
#include "base/slice.h"
/*
 * scan - the one loop over every octet of mail: finds what a line-oriented protocol must look at, 16 octets at a time
 * where the processor can.
 */
/* Offset of the first CR or LF in s; s.len: none. */
size_t scan_line_end(slice s);
/* Offset of the first CR, LF, NUL or octet >= 0x80; s.len: none. */
size_t scan_special(slice s);
