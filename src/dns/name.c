#include "dns/name.h"
#include <arpa/inet.h>
#include <stdio.h>

static bool is_host_octet(char c) { return ascii_is_alnum(c) || c == '-' || c == '_'; }

/* Behind a dot where there is something before; false when it does not fit or is not of a host. */
static bool add_label(struct name *name, slice label)
{
    size_t dot = name->len ? 1 : 0;
    if (label.len == 0 || label.len > LABEL_MAX || name->len + dot + label.len > NAME_TEXT_MAX)
        return false;
    if (dot)
        name->text[name->len++] = '.';
    for (size_t i = 0; i < label.len; i++) {
        if (!is_host_octet(label.ptr[i]))
            return false;
        name->text[name->len++] = ascii_lower(label.ptr[i]);
    }
    name->text[name->len] = 0;
    return true;
}

bool name_from_text(slice text, struct name *name)
{
    name->len = 0;
    name->text[0] = 0;
    if (slice_ends_with(text, SLICE(".")))
        text.len--;
    bool more = true;
    while (more) {
        slice label;
        text = slice_cut(text, '.', &label, &more);
        if (!add_label(name, label))
            return false;
    }
    return true;
}

bool name_from_wire(slice wire, struct name *name, slice *rest)
{
    name->len = 0;
    name->text[0] = 0;
    for (;;) {
        if (wire.len == 0)
            return false;
        size_t length = (unsigned char)wire.ptr[0];
        wire = slice_tail(wire, 1);
        if (length == 0)
            break;
        /* more than 63 is a pointer or worse (RFC 1035 §4.1.4): the library has resolved those */
        if (length > wire.len || !add_label(name, slice_head(wire, length)))
            return false;
        wire = slice_tail(wire, length);
    }
    if (rest)
        *rest = wire;
    return rest || wire.len == 0;
}

static void name_from_v4(const unsigned char octets[4], struct name *name)
{
    int len =
        snprintf(name->text, sizeof name->text, "%u.%u.%u.%u.in-addr.arpa", octets[3], octets[2], octets[1], octets[0]);
    name->len = (size_t)len;
}

static void name_from_v6(const unsigned char octets[16], struct name *name)
{
    static const char digits[] = "0123456789abcdef";
    char *to = name->text;
    for (int i = 15; i >= 0; i--) {
        *to++ = digits[octets[i] & 15];
        *to++ = '.';
        *to++ = digits[octets[i] >> 4];
        *to++ = '.';
    }
    memcpy(to, "ip6.arpa", sizeof "ip6.arpa");
    name->len = strlen(name->text);
}

void name_from_address(const struct address *address, struct name *name)
{
    if (address_is_v6(address))
        name_from_v6((const unsigned char *)&address->v6.sin6_addr, name);
    else
        name_from_v4((const unsigned char *)&address->v4.sin_addr, name);
}

bool mx_data_parse(slice rdata, struct mx_data *mx)
{
    if (rdata.len < 2)
        return false;
    mx->preference = (uint16_t)((unsigned char)rdata.ptr[0] << 8 | (unsigned char)rdata.ptr[1]);
    return name_from_wire(slice_tail(rdata, 2), &mx->host, NULL);
}

bool address_data_parse(slice rdata, struct address *address)
{
    *address = (struct address){ 0 };
    if (rdata.len == sizeof address->v4.sin_addr) {
        address->v4.sin_family = AF_INET;
        memcpy(&address->v4.sin_addr, rdata.ptr, rdata.len);
    } else if (rdata.len == sizeof address->v6.sin6_addr) {
        address->v6.sin6_family = AF_INET6;
        memcpy(&address->v6.sin6_addr, rdata.ptr, rdata.len);
    } else {
        return false;
    }
    return true;
}
