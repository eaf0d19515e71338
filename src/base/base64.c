#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct text *to, slice octets)
{
    const unsigned char *from = (const unsigned char *)octets.ptr;
    size_t left = octets.len;
    char *out = text_reserve(to, octets.len / 3 * 4 + 4);
    char *start = out;
    for (; left >= 3; left -= 3, from += 3) {
        uint32_t three = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *out++ = alphabet[three >> 18];
        *out++ = alphabet[three >> 12 & 63];
        *out++ = alphabet[three >> 6 & 63];
        *out++ = alphabet[three & 63];
    }
    if (left > 0) {
        uint32_t three = (uint32_t)from[0] << 16 | (left == 2 ? (uint32_t)from[1] << 8 : 0);
        *out++ = alphabet[three >> 18];
        *out++ = alphabet[three >> 12 & 63];
        *out++ = left == 2 ? alphabet[three >> 6 & 63] : '=';
        *out++ = '=';
    }
    to->len += (size_t)(out - start);
}

/* The six bits of a character; -1 for anything outside the alphabet. */
static int six_bits(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct text *to, slice encoded)
{
    if (encoded.len % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < encoded.len && encoded.ptr[encoded.len - 1 - padding] == '=')
        padding++;
    size_t characters = encoded.len - padding;
    char *out = text_reserve(to, encoded.len / 4 * 3);
    char *start = out;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < characters; i++) {
        int value = six_bits(encoded.ptr[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *out++ = (char)(bits >> count & 0xff);
        }
    }
    if (bits & ((1u << count) - 1)) /* RFC 4648 §3.5: pad bits that are not zero would be a second spelling */
        return false;
    to->len += (size_t)(out - start);
    return true;
}
