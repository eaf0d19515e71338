#include "base/address.h"
#include <arpa/inet.h>

socklen_t address_length(const struct address *a) { return address_is_v6(a) ? sizeof(a->v6) : sizeof(a->v4); }

uint16_t address_port(const struct address *a) { return ntohs(address_is_v6(a) ? a->v6.sin6_port : a->v4.sin_port); }

void address_set_port(struct address *a, uint16_t port)
{
    if (address_is_v6(a))
        a->v6.sin6_port = htons(port);
    else
        a->v4.sin_port = htons(port);
}

static void make_v4(struct address *a, struct in_addr ip, in_port_t port)
{
    memset(a, 0, sizeof(*a));
    a->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port, .sin_addr = ip };
}

/* An IPv4-mapped address becomes IPv4, so that no rule can be passed by writing it the other way. */
static void make_v6(struct address *a, const struct in6_addr *ip, in_port_t port, uint32_t scope)
{
    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        struct in_addr v4;
        memcpy(&v4, &ip->s6_addr[12], sizeof(v4));
        make_v4(a, v4, port);
        return;
    }
    memset(a, 0, sizeof(*a));
    a->v6 =
        (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = *ip, .sin6_scope_id = scope };
}

bool address_parse(slice s, struct address *a)
{
    char text[INET6_ADDRSTRLEN];
    if (s.len == 0 || s.len >= sizeof(text) || slice_find_byte(s, '\0') != SLICE_NOT_FOUND)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1)
        make_v4(a, v4, 0);
    else if (inet_pton(AF_INET6, text, &v6) == 1)
        make_v6(a, &v6, 0, 0);
    else
        return false;
    return true;
}

bool address_parse_with_port(slice s, struct address *a)
{
    size_t colon = slice_find_byte_last(s, ':');
    if (colon == SLICE_NOT_FOUND)
        return false;
    slice host = slice_head(s, colon);
    uint64_t port;
    if (!parse_u64(slice_tail(s, colon + 1), &port) || port > UINT16_MAX)
        return false;
    bool in_brackets = slice_starts_with(host, SLICE("[")) && slice_ends_with(host, SLICE("]"));
    if (in_brackets)
        host = slice_from(host.ptr + 1, host.len - 2);
    /* Colons belong to IPv6 and want brackets; brackets want IPv6. */
    if (in_brackets != (slice_find_byte(host, ':') != SLICE_NOT_FOUND) || !address_parse(host, a))
        return false;
    address_set_port(a, (uint16_t)port);
    return true;
}

void address_from_sockaddr(struct address *a, const struct sockaddr *from)
{
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof(v6));
        make_v6(a, &v6.sin6_addr, v6.sin6_port, v6.sin6_scope_id);
    } else if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof(v4));
        make_v4(a, v4.sin_addr, v4.sin_port);
    } else { /* a local socket has no address */
        memset(a, 0, sizeof(*a));
    }
}

/* By hand: inet_ntop goes through printf, and every event names an address. */
static void add_v4(struct text *t, const struct in_addr *ip)
{
    const unsigned char *octets = (const unsigned char *)ip;
    for (size_t i = 0; i < sizeof(*ip); i++) {
        if (i > 0)
            text_add_byte(t, '.');
        text_add_u64(t, octets[i]);
    }
}

void text_add_address(struct text *t, const struct address *a)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (!address_is_v6(a)) {
        add_v4(t, &a->v4.sin_addr);
        return;
    }
    inet_ntop(AF_INET6, &a->v6.sin6_addr, text, sizeof(text));
    text_add_cstr(t, text);
}

void text_add_address_with_port(struct text *t, const struct address *a)
{
    if (address_is_v6(a))
        text_add_byte(t, '[');
    text_add_address(t, a);
    text_add(t, address_is_v6(a) ? SLICE("]:") : SLICE(":"));
    text_add_u64(t, address_port(a));
}

void text_add_address_literal(struct text *t, const struct address *a)
{
    text_add(t, address_is_v6(a) ? SLICE("[IPv6:") : SLICE("["));
    text_add_address(t, a);
    text_add_byte(t, ']');
}

/* The octets of the address itself, in network order. */
static slice address_octets(const struct address *a)
{
    if (address_is_v6(a))
        return slice_from((const char *)&a->v6.sin6_addr, sizeof(a->v6.sin6_addr));
    return slice_from((const char *)&a->v4.sin_addr, sizeof(a->v4.sin_addr));
}

bool address_eq(const struct address *a, const struct address *b)
{
    return a->any.sa_family == b->any.sa_family && slice_eq(address_octets(a), address_octets(b));
}

bool address_is_loopback(const struct address *a)
{
    if (address_is_v6(a))
        return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
    return a->any.sa_family == AF_INET && ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
}

static bool bits_eq(slice a, slice b, unsigned bits)
{
    unsigned whole = bits / 8, left = bits % 8;
    if (!slice_eq(slice_head(a, whole), slice_head(b, whole)))
        return false;
    unsigned mask = 0xff00u >> left & 0xff;
    return left == 0 || (((unsigned char)a.ptr[whole] ^ (unsigned char)b.ptr[whole]) & mask) == 0;
}

static bool bits_behind_are_zero(slice octets, unsigned prefix_bits)
{
    for (unsigned bit = prefix_bits; bit < octets.len * 8; bit++)
        if ((unsigned char)octets.ptr[bit / 8] & (0x80u >> bit % 8))
            return false;
    return true;
}

bool network_parse(slice s, struct network *network)
{
    slice host;
    bool has_prefix;
    slice prefix = slice_cut(s, '/', &host, &has_prefix);
    struct network result;
    if (!address_parse(host, &result.address))
        return false;
    slice octets = address_octets(&result.address);
    uint64_t bits = octets.len * 8;
    if (has_prefix && (!parse_u64(prefix, &bits) || prefix.len > 3))
        return false;
    /* "::ffff:192.0.2.0/120" became IPv4 above; its prefix counts from the front of IPv6. */
    bool was_mapped = !address_is_v6(&result.address) && slice_find_byte(host, ':') != SLICE_NOT_FOUND;
    if (was_mapped && has_prefix) {
        if (bits < 96)
            return false;
        bits -= 96;
    }
    if (bits > octets.len * 8 || !bits_behind_are_zero(octets, (unsigned)bits))
        return false;
    result.prefix_bits = (unsigned)bits;
    *network = result;
    return true;
}

bool network_has(const struct network *network, const struct address *a)
{
    return network->address.any.sa_family == a->any.sa_family &&
           bits_eq(address_octets(&network->address), address_octets(a), network->prefix_bits);
}
