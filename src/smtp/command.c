#include "smtp/command.h"

static bool is_white(char c) { return c == ' ' || c == '\t'; }
static bool is_control(char c) { return (unsigned char)c < 0x20 || c == 0x7f; }

enum command_error command_parse(slice line, struct command *command)
{
    *command = (struct command){ 0 };
    while (line.len && is_white(line.ptr[line.len - 1]))
        line.len--;
    if (line.len == 0)
        return COMMAND_EMPTY;

    size_t verb = 0;
    while (verb < line.len && ascii_is_alpha(line.ptr[verb]))
        verb++;
    if (verb == 0 || verb > COMMAND_VERB_MAX)
        return COMMAND_BAD_VERB;
    if (verb < line.len && line.ptr[verb] != ' ')
        return is_control(line.ptr[verb]) ? COMMAND_BAD_OCTET : COMMAND_BAD_VERB;

    command->verb = slice_head(line, verb);
    while (verb < line.len && line.ptr[verb] == ' ')
        verb++;
    command->argument = slice_tail(line, verb);
    unsigned char seen = 0;
    for (size_t i = 0; i < command->argument.len; i++) {
        if (is_control(command->argument.ptr[i]))
            return COMMAND_BAD_OCTET;
        seen |= (unsigned char)command->argument.ptr[i];
    }
    command->has_8bit = (seen & 0x80) != 0;
    return COMMAND_OK;
}

bool command_cut_keyword(slice *argument, slice keyword, bool *had_space)
{
    if (!slice_starts_with_nocase(*argument, keyword))
        return false;
    slice rest = slice_tail(*argument, keyword.len);
    size_t spaces = 0;
    while (spaces < rest.len && rest.ptr[spaces] == ' ')
        spaces++;
    if (had_space)
        *had_space = spaces > 0;
    *argument = slice_tail(rest, spaces);
    return true;
}
