#include "report/report.h"
#include <stdlib.h>
/*
 * report_fuzz - the input is cut at '|' into everything that others may have chosen. Whatever it is, the DSN has its
 * three parts, well-formed lines, and no line of a status field that we did not begin.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
    if (!fact)
        abort();
}

static slice take(slice *rest)
{
    slice piece;
    *rest = slice_cut(*rest, '|', &piece, NULL);
    return piece;
}

static void check_lines(slice report)
{
    size_t boundaries = 0;
    bool was_type = false;
    slice line, boundary = { 0 };
    while (report.len) {
        size_t end = slice_find(report, SLICE("\r\n"));
        must(end != SLICE_NOT_FOUND);
        line = slice_head(report, end);
        report = slice_tail(report, end + 2);
        must(line.len <= 998 && slice_find_byte(line, '\r') == SLICE_NOT_FOUND &&
             slice_find_byte(line, '\n') == SLICE_NOT_FOUND);
        if (was_type && !boundary.len)
            boundary = slice_head(slice_tail(line, 11), line.len - 12);
        if (boundary.len && slice_starts_with(line, SLICE("--")) && slice_starts_with(slice_tail(line, 2), boundary))
            boundaries++;
        was_type = slice_starts_with(line, SLICE("Content-Type: multipart/report;"));
    }
    must(boundaries == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice rest = slice_from((const char *)data, size);
    if (size < 4)
        return 0;
    rest = slice_tail(rest, 4);
    struct outcome outcome = {
        .action = (enum action)(data[0] % (ACTION_FAILED + 1)),
        .stage = (enum delivery_stage)(data[1] % (STAGE_POLICY + 1)),
        .status = { (uint8_t)(4 + data[2] % 2), data[2], data[3] },
        .status_was_told = data[2] & 1,
        .expired = data[2] & 2,
        .reply_code = data[3] % 2 ? (uint16_t)(400 + data[3]) : 0,
        .text = take(&rest),
        .remote_name = take(&rest),
        .remote_address = take(&rest),
    };
    struct recipient recipient = { .original_recipient = take(&rest), .forward_path = { take(&rest), take(&rest) } };
    recipient.original = (struct path){ take(&rest), recipient.forward_path.domain };
    struct envelope envelope = {
        .reverse_path = { SLICE("me"), SLICE("example.org") },
        .envelope_id = take(&rest),
        .helo = take(&rest),
        .client_name = take(&rest),
        .client_address = take(&rest),
        .smtputf8 = data[0] & 128,
        .recipients = &recipient,
        .recipient_count = 1,
    };
    struct spool_message message = { .id = 1, .envelope = &envelope, .content_octets = rest.len };
    struct report_params params = { .kind = (enum report_kind)(data[1] % 3),
                                    .hostname = SLICE("mx.example.org"),
                                    .message = &message,
                                    .recipients = &(uint32_t){ 0 },
                                    .outcomes = &outcome,
                                    .recipient_count = 1,
                                    .content = rest,
                                    .give_up_ms = 1,
                                    .report_id = 2 };
    struct text report = { 0 };
    uint32_t header_octets;
    report_make(&report, &header_octets, &params);
    must(slice_ends_with(slice_head(text_slice(&report), header_octets), SLICE("\r\n\r\n")));
    check_lines(text_slice(&report));
    text_free(&report);
    return 0;
}
