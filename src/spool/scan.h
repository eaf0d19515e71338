#pragma once
#include "spool/disk.h"
#include "spool/format.h"
/*
 * scan - walks the records of one segment, whatever state its octets are in. A record counts when magic, salt and CRC
 * are right; from anything else the walk goes on at the next place (a multiple of 8) where they are. That is sound since
 * every record stands for itself: none needs the one before it.
 */
struct scan_record {
    struct record_header header;
    uint64_t offset, octets;    /* of the whole record */
    slice payload;              /* without the content; valid during the call */
    bool content_is_whole;      /* its CRC was right, or there is none */
    uint64_t bad_offset;        /* where octets that are no record begin before it; == offset: none */
};
struct scan_result {
    uint64_t records, end;      /* end: behind the last good record */
    uint64_t last_sequence;     /* of the last record; 0: there is none */
    bool has_end;               /* RECORD_END was met */
    uint64_t torn_octets;       /* behind `end`: of what has a header of ours but is not whole */
    uint64_t torn_sequence;     /* the lowest of their sequence numbers */
    uint64_t unreadable_octets; /* the disk gave an error for */
};
typedef bool scan_visit(void *context, const struct scan_record *); /* false: stop */
/* False when the visitor stopped it. */
bool scan_segment(struct disk *, int fd, uint64_t octets, uint64_t salt, scan_visit *, void *context, struct scan_result *);
