#include "worker/simulate/content.h"

struct uuid content_uuid(uint64_t seed, enum content_id kind, uint64_t a, uint64_t b)
{
    struct rng rng = { seed ^ ((uint64_t)kind + 1) * 0xd6e8feb86659fd93u };
    rng.state = rng_next(&rng) ^ a * 0xa0761d6478bd642fu;
    rng.state = rng_next(&rng) ^ b * 0xe7037ed1a0b428dbu;
    uint64_t halves[2] = { rng_next(&rng), rng_next(&rng) };
    struct uuid id;
    memcpy(id.bytes, halves, sizeof id.bytes);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

struct rng content_rng(uint64_t seed, uint64_t student, uint64_t number)
{
    struct rng rng = { seed ^ student * 0x8ebc6af09c88c6e3u };
    rng.state = rng_next(&rng) ^ number * 0x589965cc75374cc3u;
    return rng;
}

void content_put_uuid(struct buf *out, const struct uuid *id)
{
    char *at = buf_extend(out, UUID_TEXT_LEN + 2);
    if (at == NULL)
        return;
    char text[UUID_TEXT_LEN + 1];
    at[0] = at[UUID_TEXT_LEN + 1] = '"';
    memcpy(at + 1, uuid_format(id, text), UUID_TEXT_LEN);
}

/* --------------------------------------------------------------------------------------- time */

static char *put_digits(char *at, unsigned value, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

/* Year, month and day of a day since 1970 (Howard Hinnant's days algorithm, public domain). */
static char *put_date(char *at, int64_t day)
{
    unsigned z = (unsigned)(day + 719468);
    unsigned era = z / 146097, doe = z % 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    unsigned year = yoe + era * 400 + (month <= 2);
    at = put_digits(at, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    return put_digits(at, doy - (153 * mp + 2) / 5 + 1, 2);
}

void content_put_time(struct buf *out, int64_t at_us, uint64_t style)
{
    enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };
    bool offset = style % 8 == 1;
    int64_t local_us = at_us + (offset ? (int64_t)2 * HOUR_S * 1000000 : 0);
    int64_t local_s = local_us / 1000000;
    unsigned micro = (unsigned)(local_us % 1000000), second = (unsigned)(local_s % DAY_S);
    char text[48], *at = text;
    *at++ = '"';
    at = put_date(at, local_s / DAY_S);
    *at++ = 'T';
    at = put_digits(at, second / HOUR_S, 2);
    *at++ = ':';
    at = put_digits(at, second / MINUTE_S % 60, 2);
    *at++ = ':';
    at = put_digits(at, second % MINUTE_S, 2);
    *at++ = '.';
    at = style % 8 == 2 ? put_digits(at, micro, 6) : put_digits(at, micro / 1000, 3);
    if (style % 8 == 2)
        at = put_digits(at, 999, 3); /* nanoseconds, to be cut off */
    struct bytes zone = offset ? BYTES("+02:00\"") : BYTES("Z\"");
    buf_put(out, (struct bytes){ text, (size_t)(at - text) });
    buf_put(out, zone);
}

/* ------------------------------------------------------------------------------------ answers */

static const char *const essays[] = {
    "Because the flux through a closed surface is zero.",
    "Die Zinsen steigen, weil die Nachfrage gr\xc3\xb6\xc3\x9f"
    "er ist als das Angebot.",
    "Line one\\nline two\\tand a \\\"quotation\\\"",
    "\xe6\xb0\xb4\xe3\x81\xaf\xe7\x99\xbe\xe5\xba\xa6\xe3\x81\xa7\xe6\xb2\xb8\xe9\xa8\xb0\xe3\x81"
    "\x99\xe3\x82\x8b",
    "caf\\u00e9 \\ud83d\\ude00 C:\\\\temp",
    "",
};

static void put_answer(struct buf *out, struct rng *rng)
{
    uint64_t kind = rng_below(rng, 20), value = rng_next(rng);
    if (kind < 10)
        buf_printf(out, "\"%c\"", (int)('A' + value % 5));
    else if (kind < 12)
        buf_printf(out, "[\"%c\",\"%c\"]", (int)('A' + value % 3), (int)('D' + value / 3 % 3));
    else if (kind < 14)
        buf_printf(out, "\"%s\"", essays[value % (sizeof essays / sizeof essays[0])]);
    else if (kind < 16)
        buf_printf(out, "%u.%02u", (unsigned)(value % 1000), (unsigned)(value / 1000 % 100));
    else if (kind == 16)
        buf_printf(out, "-%u.0e-%u", (unsigned)(value % 50), (unsigned)(value / 50 % 9));
    else if (kind == 17)
        buf_put(out, value % 2 == 0 ? BYTES("true") : BYTES("false"));
    else if (kind == 18)
        buf_printf(out, "{\"text\":\"%s\",\"words\":%u,\"draft\":null}", essays[value % 2],
                   (unsigned)(value / 2 % 400));
    else
        buf_put(out, BYTES("null"));
}

void content_put_answers(struct buf *out, struct rng *rng, unsigned questions)
{
    unsigned keys = 1 + (unsigned)rng_below(rng, questions < 3 ? questions : 3);
    unsigned first = (unsigned)rng_below(rng, questions);
    for (unsigned i = 0; i < keys; i++) {
        buf_put(out, i == 0 ? BYTES("{\"q") : BYTES(",\"q"));
        buf_put_int(out, 1 + (first + i) % questions);
        buf_put(out, BYTES("\":"));
        put_answer(out, rng);
    }
    buf_put_char(out, '}');
}

void content_put_activity(struct buf *out, struct rng *rng, unsigned questions)
{
    static const char *const types[] = { "answer_changed", "question_viewed", "tab_blurred",
                                         "tab_focused", "connection_lost" };
    uint64_t type = rng_below(rng, sizeof types / sizeof types[0]);
    buf_put(out, BYTES("\"event_type\":\""));
    buf_put(out, bytes_of(types[type]));
    buf_put_char(out, '"');
    if (type < 2) {
        buf_put(out, BYTES(",\"payload\":{\"question_id\":\"q"));
        buf_put_int(out, 1 + (int64_t)rng_below(rng, questions));
        buf_put(out, BYTES("\"}"));
    }
}
