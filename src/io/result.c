#include "io/result.h"
#include <errno.h>

enum io_result io_from_errno(int error_number)
{
    switch (error_number) {
    case 0:
        return IO_OK;
    case ECONNREFUSED:
    case ENOENT: /* a Unix socket that is not there */
        return IO_REFUSED;
    case ETIMEDOUT:
        return IO_TIMEOUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL: /* also what a host without IPv6 says to an IPv6 address */
    case EAFNOSUPPORT:
        return IO_UNREACHABLE;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
    case ENOTCONN:
        return IO_RESET;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return IO_FULL;
    default:
        return IO_FAILED;
    }
}

const char *io_result_text(enum io_result result)
{
    static const char *const texts[] = {
        [IO_OK] = "ok",
        [IO_END] = "connection closed by the peer",
        [IO_REFUSED] = "connection refused",
        [IO_TIMEOUT] = "connection timed out",
        [IO_UNREACHABLE] = "network or host unreachable",
        [IO_RESET] = "connection reset by the peer",
        [IO_FULL] = "no space, quota or descriptors left",
        [IO_TLS] = "TLS failed",
        [IO_FAILED] = "input/output error",
    };
    return (size_t)result < COUNT(texts) ? texts[result] : "unknown result";
}
