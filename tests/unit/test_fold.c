/*
 * The rules of DESIGN 1.4 as a table of small stories: an attempt as it stands, events in order,
 * and what must become of each.
 *
 * Events:   start[X]  the `started` of exam X      sE=id  a save that expects E, with event id `id`
 *           uE=id     a submit that expects E
 * Verdicts: applied(v) duplicate(v) stale(v) late(v,reason) dead(reason), with the row's version;
 *           applied(v,+n) for a write that skipped n versions.
 */
#include "worker/engine/fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define JUMP_MAX 1000

struct story {
    const char *name;
    const char *row; /* "none", or version, recent ids and state: "3 a,b" "7 c submitted+2" */
    const char *events;
    const char *verdicts;
};

static const struct story stories[] = {
    { "the first save expects 1", "1", "s1=a", "applied(2)" },
    { "saves in order", "1", "s1=a s2=b s3=c", "applied(2) applied(3) applied(4)" },
    { "a gap is applied and counted", "1", "s5=a s6=b", "applied(6,+4) applied(7)" },
    { "overtaken inside the batch", "1", "s2=b s1=a", "applied(3,+1) stale(3)" },
    { "stale against the row", "4", "s2=a s4=b", "stale(4) applied(5)" },
    { "a re-sent save", "2 a", "s1=a s2=b", "duplicate(2) applied(3)" },
    { "re-sent inside the batch", "1", "s1=a s1=a s2=b", "applied(2) duplicate(2) applied(3)" },
    { "a known id with a higher version", "2 a", "s9=a", "duplicate(2)" },
    { "nothing follows a submit", "1", "u1=a s2=b s9=c",
      "applied(2) late(2,after_submit) "
      "late(2,after_submit)" },
    { "what a submit skipped was overtaken", "1", "u5=a s2=b s4=c s5=d",
      "applied(6,+4) late(6,overtaken) late(6,overtaken) late(6,after_submit)" },
    { "late against the row", "8 z submitted+3", "s3=a s4=b s6=c s7=d",
      "late(8,after_submit) late(8,overtaken) late(8,overtaken) late(8,after_submit)" },
    { "two submits: the first stands", "1", "u1=a u2=b", "applied(2) late(2,after_submit)" },
    { "a re-sent submit", "2 a submitted+0", "u1=a", "duplicate(2)" },
    { "a jump is dead and changes nothing", "1", "s1002=a s1=b", "dead(version_jump) applied(2)" },
    { "the largest jump", "1", "s1001=a", "applied(1002,+1000)" },
    { "dead comes before duplicate", "1 a", "s1002=a", "dead(version_jump)" },
    { "an unknown attempt starts at 1", "none", "s1=a", "applied(2)" },
    { "an unknown attempt with a gap", "none", "s3=a", "applied(4,+2)" },
    { "a jump makes no row", "none", "s1002=a", "dead(version_jump)" },
    { "saves before their start", "none", "s1=a start[X] s2=b",
      "applied(2) applied(2) applied(3)" },
    { "a start makes the row", "none", "start[X] s1=a", "applied(1) applied(2)" },
    { "a second start that agrees", "none", "start[X] start[X]", "applied(1) duplicate(1)" },
    { "a second start that does not", "none", "start[X] start[Y]",
      "applied(1) dead(start_conflict)" },
    { "a start fills a row without one", "3", "start[X]", "applied(3)" },
    { "also a submitted one", "3 a submitted+0", "start[X]", "applied(3)" },
    { "sixteen ids are remembered", "17 a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", "s17=q s18=b s19=a",
      "applied(18) duplicate(18) applied(20,+1)" },
};

/* Ids of one letter become UUIDs that end in that letter. */
static struct uuid id_of(char letter)
{
    struct uuid id = { { 0 } };
    id.bytes[0] = 0x11;
    id.bytes[15] = (uint8_t)letter;
    return id;
}

static void set_row(const char *text, struct attempt_row *row)
{
    *row = (struct attempt_row){ .found = strcmp(text, "none") != 0 };
    if (!row->found)
        return;
    char *at;
    row->version = strtoll(text, &at, 10);
    while (*at == ' ' || *at == ',') {
        at++;
        if (strncmp(at, "submitted+", 10) == 0) {
            row->submitted = true;
            row->submit_version = row->version;
            row->submit_missing = strtoll(at + 10, &at, 10);
        } else {
            row->recent[row->recent_count++] = id_of(*at++);
        }
    }
}

static struct entry *add_event(struct fold *fold, const char *text, struct arena *arena)
{
    struct entry *entry = arena_calloc(arena, 1, sizeof *entry);
    struct event *event = &entry->event;
    if (strncmp(text, "start[", 6) == 0) {
        event->type = EVENT_STARTED;
        event->started.exam_id = event->started.student_id = id_of(text[6]);
    } else {
        char *at;
        event->type = *text == 'u' ? EVENT_SUBMITTED : EVENT_SAVED;
        event->write.expected_version = strtoll(text + 1, &at, 10);
        event->write.answers = BYTES("{\"q\":1}");
        event->event_id = id_of(at[1]);
    }
    fold_append(fold, entry, JUMP_MAX);
    return entry;
}

static void tell(const struct entry *entry, char *out, size_t room)
{
    char note[64] = "";
    long long version = entry->version;
    assert_true(entry->judged);
    if (entry->outcome == OUTCOME_DEAD) {
        (void)snprintf(out, room, "dead(%s)", reason_name(entry->reason));
        return;
    }
    if (entry->outcome == OUTCOME_LATE)
        (void)snprintf(note, sizeof note, ",%s", entry->late_reason);
    if (entry->outcome == OUTCOME_APPLIED && entry->missing > 0)
        (void)snprintf(note, sizeof note, ",+%lld", (long long)entry->missing);
    (void)snprintf(out, room, "%s(%lld%s)", outcome_name(entry->outcome), version, note);
}

static void read_events(const struct story *story, struct fold *fold, struct arena *arena)
{
    char events[256];
    (void)snprintf(events, sizeof events, "%s", story->events);
    char *rest = events, *word;
    while ((word = strtok_r(rest, " ", &rest)) != NULL)
        (void)add_event(fold, word, arena);
}

static void tell_all(const struct fold *fold, char *out, size_t room)
{
    out[0] = '\0';
    for (const struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt) {
        char verdict[96];
        tell(e, verdict, sizeof verdict);
        size_t at = strlen(out);
        (void)snprintf(out + at, room - at, "%s%s", at == 0 ? "" : " ", verdict);
    }
}

static void test_careful_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        struct arena arena;
        arena_init(&arena, 4096, 0);
        struct fold fold = { 0 };
        struct attempt_row row;
        struct fold_verdict verdict;
        char told[512];
        set_row(stories[i].row, &row);
        read_events(&stories[i], &fold, &arena);
        assert_true(fold_judge(&fold, &row, JUMP_MAX, &arena, &verdict));
        tell_all(&fold, told, sizeof told);
        if (strcmp(told, stories[i].verdicts) != 0)
            fail_msg("%s:\n  expected %s\n  got      %s", stories[i].name, stories[i].verdicts,
                     told);
        arena_release(&arena);
    }
}

/* The guard of the fast row write, as the database evaluates it (plan.h, struct fold). */
static bool guard_passes(const struct fold *fold, const struct attempt_row *row)
{
    if (!row->found || row->submitted || row->version > fold->expected_first ||
        fold->expected_first - row->version > JUMP_MAX)
        return false;
    for (size_t i = 0; i < fold->event_id_count; i++)
        for (size_t k = 0; k < row->recent_count; k++)
            if (uuid_equal(&fold->event_ids[i], &row->recent[k]))
                return false;
    return true;
}

/* Whatever takes the fast way must be told the same as on the careful way. */
static void test_fast_way_agrees(void **state)
{
    (void)state;
    size_t fast = 0;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        struct arena arena;
        arena_init(&arena, 4096, 0);
        struct fold fold = { 0 };
        struct attempt_row row;
        char told[512];
        set_row(stories[i].row, &row);
        read_events(&stories[i], &fold, &arena);
        assert_true(fold_classify(&fold, &arena));
        bool only_writes = fold.entries->event.type != EVENT_STARTED;
        if (!fold.exact && only_writes && guard_passes(&fold, &row)) {
            fold.written = true;
            fold.prior_version = row.version;
            fold_settle_fast(&fold);
            tell_all(&fold, told, sizeof told);
            assert_string_equal(told, stories[i].verdicts);
            fast++;
        }
        arena_release(&arena);
    }
    assert_true(fast >= 4);
}

static void test_merged_patch(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096, 0);
    struct fold fold = { 0 };
    struct attempt_row row;
    struct fold_verdict verdict;
    set_row("1", &row);
    struct entry *first = add_event(&fold, "s1=a", &arena);
    struct entry *stale = add_event(&fold, "s1=b", &arena);
    struct entry *last = add_event(&fold, "u2=c", &arena);
    first->event.write.answers = BYTES(" { \"q1\" : 1, \"q2\":{} } ");
    stale->event.write.answers = BYTES("{\"q1\":666}");
    last->event.write.answers = BYTES("{\"q1\":null}");
    last->event.write.auto_save_data = BYTES("{\"p\":9}");
    assert_true(fold_judge(&fold, &row, JUMP_MAX, &arena, &verdict));
    assert_true(fold.exact && fold.has_submit && fold.submit == last);
    assert_int_equal(fold.expected_first, 1);
    assert_int_equal(fold.version, 3);
    assert_int_equal(fold.event_id_count, 2);
    assert_null(memmem(fold.patch.ptr, fold.patch.len, "666", 3));
    assert_non_null(memmem(fold.patch.ptr, fold.patch.len, "\"q2\":{}", 7));
    assert_non_null(memmem(fold.patch.ptr, fold.patch.len, "\"q1\":null", 9));
    assert_true(bytes_equal(fold.auto_save_data, BYTES("{\"p\":9}")));
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_careful_way),
        cmocka_unit_test(test_fast_way_agrees),
        cmocka_unit_test(test_merged_patch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
