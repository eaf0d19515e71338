#include "dns/name.h"
#include <stdlib.h>
/* Whatever a name server puts into an answer: nothing but what a host name may hold comes out, within its bounds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct name *name)
{
    if (name->len > NAME_TEXT_MAX || strlen(name->text) != name->len)
        abort();
    for (size_t i = 0; i < name->len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", name->text[i]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = slice_from((const char *)data, size), rest;
    struct name name, again;
    struct mx_data mx;
    struct address address;
    if (name_from_wire(input, &name, &rest)) {
        check(&name);
        if (name.len &&
            (!name_from_text(name_slice(&name), &again) || !slice_eq(name_slice(&name), name_slice(&again))))
            abort();
    }
    if (name_from_text(input, &name))
        check(&name);
    if (mx_data_parse(input, &mx))
        check(&mx.host);
    if (address_data_parse(input, &address))
        name_from_address(&address, &name);
    return 0;
}
