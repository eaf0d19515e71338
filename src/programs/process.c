#include "programs/process.h"
#include "base/memory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_TEXT_MAX = 64 << 20 };

static bool read_whole(int fd, struct text *to, struct text *error)
{
    struct stat file;
    if (fstat(fd, &file) != 0 || file.st_size > CONFIG_TEXT_MAX) {
        text_add_cstr(error, "the configuration passed by the supervisor cannot be read");
        return false;
    }
    while (to->len < (size_t)file.st_size) {
        size_t want = (size_t)file.st_size - to->len;
        ssize_t got = pread(fd, text_reserve(to, want), want, (off_t)to->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            text_add_format(error, "the configuration passed by the supervisor ends early: %s", strerror(errno));
            return false;
        }
        to->len += (size_t)got;
    }
    return true;
}

struct config *process_read_config(const struct ipc_configure *message, struct text *error)
{
    struct config *config = NULL;
    struct text yaml = { 0 };
    struct config_mistakes mistakes = { 0 };
    if (read_whole(message->text, &yaml, error)) {
        config = config_read_text(text_slice(&yaml), "configuration", ".", &mistakes);
        if (!config && mistakes.count)
            text_add_config_mistake(error, &mistakes.items[0]);
    }
    config_mistakes_free(&mistakes);
    if (yaml.ptr)
        memory_wipe(yaml.ptr, yaml.len);
    text_free(&yaml);
    close(message->text);
    return config;
}

static enum event_text_level text_level(const struct config *config)
{
    switch (config->log.text) {
    case LOG_NONE:
        return EVENT_TEXT_NONE;
    case LOG_ALL:
        return EVENT_TEXT_ALL;
    case LOG_IMPORTANT:
        break;
    }
    return EVENT_TEXT_IMPORTANT;
}

static uint64_t wall_of(void *loop) { return loop_wall_ms(loop); }

struct event_log *process_open_log(const char *role, const char *name, const struct config *config, struct loop *loop,
                                   struct text *error)
{
    char folder[64];
    snprintf(folder, sizeof folder, FOLDER_LOG "/%s", role);
    struct event_log_params params = {
        .folder = role[0] ? folder : FOLDER_LOG,
        .process = name,
        .rotate_octets = config->log.rotate_size,
        .keep_files = (unsigned)config->log.keep_files,
        .text_level = text_level(config),
        .text_fd = STDERR_FILENO,
    };
    struct event_log *log = event_log_open(&params, error);
    if (log)
        event_set_clock(log, wall_of, loop);
    return log;
}

void process_configure_log(struct event_log *log, const struct config *config)
{
    event_log_change(log, config->log.rotate_size, (unsigned)config->log.keep_files, text_level(config));
}

void process_fail(struct ipc_channel *supervisor, slice text)
{
    ipc_send_failed(supervisor, &(struct ipc_failed){ .text = text });
    ipc_flush(supervisor);
    exit(EXIT_FAILURE);
}
