#include "event/text_output.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void quotes_where_needed(void **state)
{
    (void)state;
    static const struct {
        slice value, written;
    } cases[] = {
        { LIT("plain"), LIT("plain") },
        { LIT("<ann@example.org>"), LIT("<ann@example.org>") },
        { LIT(""), LIT("\"\"") },
        { LIT("two words"), LIT("\"two words\"") },
        { LIT("a\"b"), LIT("\"a\\\"b\"") },
        { LIT("x\nfake=1"), LIT("\"x\\nfake=1\"") },
        { LIT("\x1b[31m"), LIT("\"\\u001b[31m\"") },
        { LIT("a\\b"), LIT("\"a\\\\b\"") },
    };
    struct text t = { 0 };
    for (size_t i = 0; i < COUNT(cases); i++) {
        text_clear(&t);
        text_output_add_value(&t, cases[i].value);
        assert_true(slice_eq(text_slice(&t), cases[i].written));
    }
    text_free(&t);
}

static void add_lines(struct text_output *output, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t start = output->pending.len;
        text_add_format(&output->pending, "%099zu\n", i);
        text_output_keep_line(output, start);
    }
}

/* The blocking end of a pipe that nobody reads: this test would hang if anything waited. */
static void a_reader_that_stopped_is_not_waited_for(void **state)
{
    (void)state;
    int ends[2];
    struct text_output output;
    static char read_octets[1 << 20];
    assert_int_equal(pipe(ends), 0);
    text_output_open(&output, ends[1]);
    for (int i = 0; i < 100; i++) {
        add_lines(&output, 100);
        text_output_flush(&output);
    }
    assert_true(output.lines_left_out > 0);
    assert_true(output.pending.len <= 256 * 1024);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    size_t whole = 0;
    for (int i = 0; i < 1000 && output.pending.len; i++) {
        ssize_t got = read(ends[0], read_octets, sizeof(read_octets));
        assert_int_equal(got % 100, 0); /* whole lines */
        whole += (size_t)got;
        if (output.lines_left_out == 0)
            break;
        text_output_flush(&output);
    }
    assert_true(whole > 256 * 1024);
    assert_true(slice_ends_with(text_slice(&output.pending),
                                SLICE("lines were left out here: they were not read fast enough)\n")));
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    text_output_flush(&output); /* nobody there: gone, no error */
    text_output_close(&output);
    close(ends[1]);
}

static void knows_journald(void **state)
{
    (void)state;
    struct stat status;
    struct text value = { 0 };
    struct text_output output;
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    text_add_format(&value, "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", text_cstr(&value), 1);
    text_output_open(&output, STDERR_FILENO);
    assert_true(output.to_journal);
    setenv("JOURNAL_STREAM", "1:99999999", 1);
    text_output_open(&output, STDERR_FILENO);
    assert_false(output.to_journal);
    setenv("JOURNAL_STREAM", "rubbish", 1);
    text_output_open(&output, STDERR_FILENO);
    assert_false(output.to_journal);
    unsetenv("JOURNAL_STREAM");
    text_output_open(&output, STDERR_FILENO);
    assert_false(output.to_journal);
    text_free(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_where_needed),
        cmocka_unit_test(a_reader_that_stopped_is_not_waited_for),
        cmocka_unit_test(knows_journald),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
