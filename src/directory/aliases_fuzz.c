#include "base/arena.h"
#include "directory/directory.h"
/* The plain alias file: any octets; then every name that was read is looked up. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore_problem(void *context, slice alias, slice problem)
{
    (void)context;
    (void)alias;
    (void)problem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct directory *directory = directory_new();
    struct text error = { 0 };
    struct arena memory = { 0 };
    directory_add_domain(directory, SLICE("a.org"), SLICE(""), SLICE("+"));
    directory_add_mailbox(directory, SLICE("ann@a.org"));
    bool ok = directory_add_alias_text(directory, SLICE("a.org"), slice_from((const char *)data, size), &error);
    assert(ok == (error.len == 0));
    (void)ok;
    directory_finish(directory);
    directory_each_problem(directory, ignore_problem, NULL);
    (void)directory_find(directory, (struct path){ slice_from((const char *)data, size), SLICE("a.org") }, &memory);
    arena_free(&memory);
    directory_release(directory);
    text_free(&error);
    return 0;
}
