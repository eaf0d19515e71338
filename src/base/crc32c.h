#pragma once
#include "base/slice.h"
/* crc32c - Castagnoli CRC (RFC 3720 §B.4), by the processor's instruction where it has one. Start with 0;
 * feeding the pieces one after the other gives the CRC of the whole. */
uint32_t crc32c(uint32_t crc, slice octets);
/* The same without the instruction: what other processors use, here for the test that both agree. */
uint32_t crc32c_portable(uint32_t crc, slice octets);
