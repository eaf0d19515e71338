#pragma once
#include "base/text.h"
/*
 * text_output - readable lines for a person: on a terminal, in a file, or through journald. A reader that has stopped
 * reading must not stop the mail: nothing is written that would wait, and when too much waits, lines are left out and
 * the next ones say how many.
 */
struct text_output {
    int fd;
    bool to_journal; /* journald adds the time itself, and reads "<4>" at the start as the importance */
    struct text pending;
    uint64_t lines_left_out;
};
void text_output_open(struct text_output *, int fd);
/* A line with its end, already behind pending from `start`: stays or is left out. */
void text_output_keep_line(struct text_output *, size_t start);
void text_output_flush(struct text_output *);
void text_output_close(struct text_output *);
/* As it is where that is unmistakable, else between quotes and escaped as in JSON. */
void text_output_add_value(struct text *, slice);
