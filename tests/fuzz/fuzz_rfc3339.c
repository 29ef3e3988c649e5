/*
 * Times: the parser against another, made of a regular expression (the contract's words, 1.3) and
 * the C library's calendar. They take the same texts and read the same moment; and what is written
 * is read back.
 */
#include "common/rfc3339.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 64

static int number(const char *text, const regmatch_t *at)
{
    return at->rm_so < 0 ? 0 : atoi(text + at->rm_so);
}

/* A day that the month has not comes back from the calendar as another. */
static bool seconds_of(const int part[static 6], int64_t *ret)
{
    struct tm tm = { .tm_year = part[0] - 1900,
                     .tm_mon = part[1] - 1,
                     .tm_mday = part[2],
                     .tm_hour = part[3],
                     .tm_min = part[4],
                     .tm_sec = part[5] };
    struct tm back = tm;
    *ret = (int64_t)timegm(&back);
    return back.tm_mon == tm.tm_mon && back.tm_mday == tm.tm_mday && back.tm_hour == tm.tm_hour &&
           back.tm_min == tm.tm_min && back.tm_sec == tm.tm_sec;
}

static bool oracle(const char *text, int64_t *ret_us)
{
    static regex_t regex;
    static bool ready;
    regmatch_t at[14];
    if (!ready && regcomp(&regex,
                          "^(20[0-9]{2})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
                          "(\\.([0-9]{1,9}))?(Z|([+-])([0-9]{2}):([0-9]{2}))$",
                          REG_EXTENDED) != 0)
        abort();
    ready = true;
    if (regexec(&regex, text, 14, at, 0) != 0)
        return false;
    int part[6];
    for (int i = 0; i < 6; i++)
        part[i] = number(text, &at[i + 1]);
    int hours = number(text, &at[11]), minutes = number(text, &at[12]);
    int64_t seconds;
    if (!seconds_of(part, &seconds) || hours > 23 || minutes > 59)
        return false;
    int64_t us = 0;
    for (int i = 0; i < 6; i++)
        us = us * 10 +
             (at[8].rm_so >= 0 && at[8].rm_so + i < at[8].rm_eo ? text[at[8].rm_so + i] - '0' : 0);
    int64_t offset = (hours * 60 + minutes) * 60;
    if (at[10].rm_so >= 0 && text[at[10].rm_so] == '-')
        offset = -offset;
    *ret_us = (seconds - offset) * 1000000 + us;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1], written[RFC3339_TEXT_LEN + 1];
    int64_t ours = 0, theirs = 0, again = 0;
    if (size > TEXT_MAX || memchr(data, '\0', size) != NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    bool read = rfc3339_parse((struct bytes){ (const char *)data, size }, &ours);
    if (read != oracle(text, &theirs) || ours != theirs)
        abort();
    /* An offset may carry a written year out of what is read. */
    (void)rfc3339_format(ours, written);
    if (read && strncmp(written, "20", 2) == 0 &&
        (!rfc3339_parse(bytes_of(written), &again) || again != ours))
        abort();
    return 0;
}
