#include "ipc/frame.h"
#include <fcntl.h>
#include <unistd.h>
/*
 * A stream of octets as a process that was taken over might send it: no crash, no descriptor left open, every slice
 * readable to its end. The first octet says how many descriptors came along.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sum;
static void touch(slice octets)
{
    for (size_t i = 0; i < octets.len; i++)
        sum += (unsigned char)octets.ptr[i];
}

#define TOUCH_U64(field)   sum += (unsigned)m->field;
#define TOUCH_BYTES(field) touch(m->field);
#define TOUCH_FD(field)                                                                                                \
    if (m->field >= 0)                                                                                                 \
        close(m->field);
#define ON_MESSAGE(name, fields, ...)                                                                                  \
    static void on_##name(void *context, const struct ipc_##name *m)                                                   \
    {                                                                                                                  \
        (void)context;                                                                                                 \
        fields(TOUCH_U64, TOUCH_U64, TOUCH_BYTES, TOUCH_FD)                                                            \
    }
IPC_MESSAGES(ON_MESSAGE)
#define HANDLER(name, ...) .name = on_##name,
static const struct ipc_handlers handlers = { IPC_MESSAGES(HANDLER) };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fd_queue fds = { 0 };
    if (size == 0)
        return 0;
    for (int i = 0; i < data[0] % 4; i++)
        if (!fd_queue_add(&fds, open("/dev/null", O_RDONLY)))
            break;
    slice rest = slice_from((const char *)data + 1, size - 1);
    size_t whole;
    while (frame_measure(rest, &whole) == FRAME_OK) {
        if (frame_dispatch(slice_head(rest, whole), &fds, &handlers, NULL) != FRAME_OK)
            break;
        rest = slice_tail(rest, whole);
    }
    fd_queue_close(&fds);
    return 0;
}
