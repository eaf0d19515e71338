#include "programs/ctl/address_list.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t count)
{
    struct text mailbox = { 0 };
    slice rest = slice_from((const char *)octets, count);
    for (;;) {
        size_t left = rest.len;
        text_clear(&mailbox);
        if (!address_list_next(&rest, &mailbox))
            break;
        if (rest.len >= left || mailbox.len > count)
            abort();
    }
    text_free(&mailbox);
    return 0;
}
