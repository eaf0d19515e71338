#pragma once
#include "base/slice.h"
/*
 * result - how an I/O operation ended, for people and for decisions. `error` is an errno value where there is one.
 */
enum io_result {
    IO_OK,
    IO_END,     /* the peer closed in order */
    IO_REFUSED, /* connection refused */
    IO_TIMEOUT,
    IO_UNREACHABLE,
    IO_RESET,  /* the peer broke the connection off */
    IO_FULL,   /* no space left, quota, or no descriptors */
    IO_TLS,    /* the TLS layer failed; stream_error_text says how */
    IO_FAILED, /* anything else */
};
enum io_result io_from_errno(int error_number);
/* "connection refused", "connection timed out"...: a static text. */
const char *io_result_text(enum io_result);
