#include "message/date.h"
#include <time.h>

static void add_two(char *at, int number)
{
    at[0] = (char)('0' + number / 10 % 10);
    at[1] = (char)('0' + number % 10);
}

/* The offset as "+hhmm"; RFC 5322 §3.3 has no seconds in it. */
static void add_zone(char *at, long offset_seconds)
{
    int minutes = (int)(offset_seconds / 60);
    at[0] = minutes < 0 ? '-' : '+';
    minutes = minutes < 0 ? -minutes : minutes;
    add_two(at + 1, minutes / 60);
    add_two(at + 3, minutes % 60);
}

static void add_clock(char *at, const struct tm *tm)
{
    add_two(at, tm->tm_hour);
    at[2] = ':';
    add_two(at + 3, tm->tm_min);
    at[5] = ':';
    add_two(at + 6, tm->tm_sec);
    at[8] = ' ';
    add_zone(at + 9, tm->tm_gmtoff);
}

/* A time that no calendar here can hold (a broken clock, a damaged record) is written as the beginning of time. */
static struct tm local_time(uint64_t wall_ms)
{
    struct tm tm;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (localtime_r(&seconds, &tm) == NULL || tm.tm_year > 9999 - 1900) {
        seconds = 0;
        gmtime_r(&seconds, &tm);
    }
    return tm;
}

static void add_year(char *at, const struct tm *tm)
{
    add_two(at, (tm->tm_year + 1900) / 100);
    add_two(at + 2, (tm->tm_year + 1900) % 100);
}

void text_add_date(struct text *to, uint64_t wall_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = local_time(wall_ms);
    char date[] = "Fri, 21 Nov 1997 09:55:06 -0600";
    memcpy(date, days + 3 * tm.tm_wday, 3);
    add_two(date + 5, tm.tm_mday);
    memcpy(date + 8, months + 3 * tm.tm_mon, 3);
    add_year(date + 12, &tm);
    add_clock(date + 17, &tm);
    text_add(to, slice_from(date, sizeof(date) - 1));
}

void text_add_date_short(struct text *to, uint64_t wall_ms)
{
    struct tm tm = local_time(wall_ms);
    char date[] = "1997-11-21 09:55:06 -0600";
    add_year(date, &tm);
    add_two(date + 5, tm.tm_mon + 1);
    add_two(date + 8, tm.tm_mday);
    add_clock(date + 11, &tm);
    text_add(to, slice_from(date, sizeof(date) - 1));
}
