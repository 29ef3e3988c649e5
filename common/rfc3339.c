#include "common/rfc3339.h"

#define US_PER_SECOND 1000000
#define SHORTEST      20 /* 2026-11-21T12:00:00Z */
#define LONGEST       35 /* 2026-11-21T12:00:00.123456789+01:00 */

/* `count` digits as a number, or -1. */
static int digits(const char *at, unsigned count)
{
    int value = 0;
    for (unsigned i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years count from March, so that the
 * leap day is the last of its year. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* The microseconds of `.d{1,9}` at `*at`, which is moved past it; 0 when there is none, -1 when it
 * is malformed. */
static int fraction_us(const char **at, const char *end)
{
    const char *from = *at;
    if (*from != '.')
        return 0;
    int us = 0;
    int weight = US_PER_SECOND / 10;
    for (from++; from < end && *from >= '0' && *from <= '9'; from++) {
        us += (*from - '0') * weight;
        weight /= 10;
    }
    long count = from - *at - 1;
    *at = from;
    return count >= 1 && count <= 9 ? us : -1;
}

/* `Z`, `+hh:mm` or `-hh:mm` up to `end`, in minutes east of UTC. */
static bool offset_minutes(const char *at, const char *end, int *ret)
{
    if (end - at == 1 && *at == 'Z') {
        *ret = 0;
        return true;
    }
    if (end - at != 6 || (*at != '+' && *at != '-') || at[3] != ':')
        return false;
    int hours = digits(at + 1, 2);
    int minutes = digits(at + 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    *ret = (*at == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool rfc3339_parse(struct bytes text, int64_t *ret_us)
{
    if (text.len < SHORTEST || text.len > LONGEST)
        return false;
    const char *at = text.ptr;
    const char *end = text.ptr + text.len;
    if (at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':')
        return false;
    int year = digits(at, 4);
    int month = digits(at + 5, 2);
    int day = digits(at + 8, 2);
    int hour = digits(at + 11, 2);
    int minute = digits(at + 14, 2);
    int second = digits(at + 17, 2);
    if (year < 2000 || year > 2099 || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month))
        return false;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    at += 19;
    int us = fraction_us(&at, end);
    int offset = 0;
    if (us < 0 || !offset_minutes(at, end, &offset))
        return false;
    int64_t minutes = (days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset;
    *ret_us = (minutes * 60 + second) * US_PER_SECOND + us;
    return true;
}

static void put_digits(char *at, int64_t value, unsigned count)
{
    while (count-- > 0) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* The inverse of days_from_civil(). */
static void civil_from_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

char *rfc3339_format(int64_t us, char text[static RFC3339_TEXT_LEN + 1])
{
    const int64_t us_per_day = (int64_t)86400 * US_PER_SECOND;
    const int64_t first = days_from_civil(0, 1, 1) * us_per_day;
    const int64_t last = days_from_civil(10000, 1, 1) * us_per_day - 1;
    us = us < first ? first : us > last ? last : us;
    int64_t days = us / us_per_day;
    int64_t rest = us % us_per_day;
    if (rest < 0) {
        rest += us_per_day;
        days--;
    }
    int64_t year;
    int64_t month;
    int64_t day;
    civil_from_days(days, &year, &month, &day);
    memcpy(text, "0000-00-00T00:00:00.000000Z", RFC3339_TEXT_LEN + 1);
    put_digits(text, year, 4);
    put_digits(text + 5, month, 2);
    put_digits(text + 8, day, 2);
    int64_t seconds = rest / US_PER_SECOND;
    put_digits(text + 11, seconds / 3600, 2);
    put_digits(text + 14, seconds / 60 % 60, 2);
    put_digits(text + 17, seconds % 60, 2);
    put_digits(text + 20, rest % US_PER_SECOND, 6);
    return text;
}
