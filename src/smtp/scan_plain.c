#include "smtp/scan.h"
/*
 * scan_plain - the same for every other processor, one octet a step; a compiler that can may do better.
 */
size_t scan_line_end(slice s)
{
    size_t at = 0;
    while (at < s.len && s.ptr[at] != '\r' && s.ptr[at] != '\n')
        at++;
    return at;
}

size_t scan_special(slice s)
{
    size_t at = 0;
    while (at < s.len && s.ptr[at] != '\r' && s.ptr[at] != '\n' && s.ptr[at] != '\0' &&
           !((unsigned char)s.ptr[at] & 0x80))
        at++;
    return at;
}
