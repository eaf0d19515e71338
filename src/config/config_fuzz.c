#include "base/memory.h"
#include "config/config.h"
/*
 * config_read_text with any octets. What is accepted must survive being written and read again unchanged. Files that
 * the text names are really opened, below a folder that does not exist.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct config *config)
{
    struct config_mistakes *mistakes = MEMORY_NEW(struct config_mistakes);
    struct text first = { 0 }, second = { 0 };
    config_write(&first, config, CONFIG_FOR_ALL);
    struct config *again = config_read_text(text_slice(&first), "again", "/nonexistent", mistakes);
    if (!again)
        __builtin_trap();
    config_write(&second, again, CONFIG_FOR_ALL);
    if (!slice_eq(text_slice(&first), text_slice(&second)))
        __builtin_trap();
    config_release(again);
    text_free(&first);
    text_free(&second);
    config_mistakes_free(mistakes);
    memory_free(mistakes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_mistakes *mistakes = MEMORY_NEW(struct config_mistakes);
    struct text yaml = { 0 };
    text_add_cstr(&yaml, "hostname: fuzz.example\n"); /* not to ask for the machine's own */
    text_add(&yaml, slice_from((const char *)data, size));
    struct config *config = config_read_text(text_slice(&yaml), "fuzz", "/nonexistent", mistakes);
    if (!config == (mistakes->count == 0))
        __builtin_trap();
    if (config)
        check_again(config);
    for (size_t i = 0; i < mistakes->count; i++) {
        struct text line = { 0 };
        text_add_config_mistake(&line, &mistakes->items[i]);
        text_free(&line);
    }
    config_release(config);
    text_free(&yaml);
    config_mistakes_free(mistakes);
    memory_free(mistakes);
    return 0;
}
