#include "programs/mta/control_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t count);

const char *schedule_state(const struct schedule *schedule, const struct spool_message *message)
{
    (void)schedule;
    (void)message;
    return "queued";
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t count)
{
    struct arena arena = { 0 };
    struct control_request request;
    struct text error = { 0 };
    bool ok = control_request_parse(slice_from((const char *)octets, count), &arena, &request, &error);
    assert(ok == (error.len == 0));
    arena_free(&arena);
    text_free(&error);
    return 0;
}
