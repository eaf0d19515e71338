#include "base/crc32c.h"

#define CRC_BIT(c) ((c)&1 ? (c) >> 1 ^ 0x82F63B78u : (c) >> 1)

/* Half a byte at a time: small, and only where the processor cannot do it itself. */
static uint32_t crc32c_by_table(uint32_t crc, const char *octets, size_t len)
{
#define CRC_NIBBLE(n) CRC_BIT(CRC_BIT(CRC_BIT(CRC_BIT((uint32_t)(n)))))
    static const uint32_t nibbles[16] = {
        CRC_NIBBLE(0),  CRC_NIBBLE(1),  CRC_NIBBLE(2),  CRC_NIBBLE(3),  CRC_NIBBLE(4),  CRC_NIBBLE(5),
        CRC_NIBBLE(6),  CRC_NIBBLE(7),  CRC_NIBBLE(8),  CRC_NIBBLE(9),  CRC_NIBBLE(10), CRC_NIBBLE(11),
        CRC_NIBBLE(12), CRC_NIBBLE(13), CRC_NIBBLE(14), CRC_NIBBLE(15),
    };
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)octets[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_by_sse42(uint32_t crc, const char *octets, size_t len)
{
    uint64_t wide = crc;
    for (; len >= sizeof(uint64_t); octets += sizeof(uint64_t), len -= sizeof(uint64_t)) {
        uint64_t eight;
        memcpy(&eight, octets, sizeof(eight));
        wide = _mm_crc32_u64(wide, eight);
    }
    crc = (uint32_t)wide;
    for (; len > 0; octets++, len--)
        crc = _mm_crc32_u8(crc, (unsigned char)*octets);
    return crc;
}

static uint32_t crc32c_raw(uint32_t crc, const char *octets, size_t len)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_by_sse42(crc, octets, len) : crc32c_by_table(crc, octets, len);
}
#else
static uint32_t crc32c_raw(uint32_t crc, const char *octets, size_t len) { return crc32c_by_table(crc, octets, len); }
#endif

uint32_t crc32c(uint32_t crc, slice octets) { return ~crc32c_raw(~crc, octets.ptr, octets.len); }

uint32_t crc32c_portable(uint32_t crc, slice octets) { return ~crc32c_by_table(~crc, octets.ptr, octets.len); }
