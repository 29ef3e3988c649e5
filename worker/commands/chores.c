#include "worker/commands/chores.h"

static bool publish(void *self, const struct housekeeper_news *news)
{
    struct chore *chore = self;
    return herald_publish(&chore->herald, news);
}

/* What a housekeeper reads of the ledger is news to the engine where nothing is written. */
static void note_ledger(struct chores *chores, const struct housekeeper_note *note)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        if (bytes_equal(note->name, bytes_of(chores->options.settings->topics[topic])))
            engine_ledger_seen(chores->engine,
                               &(struct seen_ledger){ .tp = { (enum topic)topic, note->partition },
                                                      .generation = note->generation,
                                                      .next_offset = note->number,
                                                      .published_offset = note->published_offset },
                               note->asked_ms);
}

static void note_looked(struct chores *chores, const struct housekeeper_note *note)
{
    struct two_servers servers;
    if (!pg_session_connected(chores->options.writer))
        return; /* where it will write is not known */
    pg_session_server(chores->options.writer, servers.written_at);
    pg_session_server(housekeeper_session(chores->news.housekeeper), servers.seen_at);
    if (second_look_counts(&chores->second_look, &servers))
        second_look_done(&chores->second_look, engine_ledger_looked(chores->engine, note->asked_ms),
                         &servers);
}

static void take_note(void *self, const struct housekeeper_note *note)
{
    struct chores *chores = ((struct chore *)self)->chores;
    if (note->kind == HOUSEKEEPER_LEDGER) {
        note_ledger(chores, note);
    } else if (note->kind == HOUSEKEEPER_LOOKED) {
        note_looked(chores, note);
    } else {
        chores->options.journal->news = true;
        views_note(&chores->views, note);
    }
}

static bool chore_init(struct chore *chore, struct chores *chores,
                       struct housekeeper_options *options)
{
    chore->chores = chores;
    options->session.conninfo = chores->options.settings->database_url;
    options->session.schema = chores->options.settings->schema;
    options->self = chore;
    options->publish = publish;
    options->note = take_note;
    chore->housekeeper = housekeeper_new(options);
    return chore->housekeeper != NULL;
}

static void chore_release(struct chore *chore)
{
    watch_release(&chore->watch);
    housekeeper_free(chore->housekeeper);
    herald_release(&chore->herald);
}

bool chores_init(struct chores *chores, const struct chores_options *options, struct err *err)
{
    *chores = (struct chores){ .options = *options };
    second_look_init(&chores->second_look, options->journal->log);
    herald_init(&chores->news.herald, options->publisher, HERALD_NEWS, options->ttl_hint_s);
    herald_init(&chores->refreshes.herald, herald_port(&chores->news.herald), HERALD_VIEWS,
                options->ttl_hint_s);
    struct housekeeper_options news = { .jobs = HOUSEKEEPER_NEWS,
                                        .session = housekeeper_session_options(),
                                        .seed = options->seed };
    struct housekeeper_options refreshes = { .jobs = HOUSEKEEPER_VIEWS,
                                             .session = housekeeper_session_options(),
                                             .months_kept = (int)options->settings->activity_months,
                                             .seed = options->seed ^ 2 };
    refreshes.session.application_name = "attemptd views";
    return (chore_init(&chores->news, chores, &news) &&
            chore_init(&chores->refreshes, chores, &refreshes) &&
            views_init(&chores->views, options->journal)) ||
           err_set(err, ERR_RESOURCE, "memory", "no memory for the housekeepers");
}

void chores_release(struct chores *chores)
{
    chore_release(&chores->news);
    chore_release(&chores->refreshes);
    views_release(&chores->views);
}

struct publisher chores_port(struct chores *chores)
{
    return herald_port(&chores->refreshes.herald);
}

void chores_tell(struct chores *chores, struct engine *engine)
{
    chores->engine = engine;
}

static int64_t chore_step(struct chore *chore, int64_t now_ms, bool stopping)
{
    if (stopping && housekeeper_is_idle(chore->housekeeper))
        return INT64_MAX;
    uint64_t number = 0;
    if (herald_confirmed(&chore->herald, &number))
        housekeeper_confirmed(chore->housekeeper, number);
    int64_t sleep_ms = housekeeper_step(chore->housekeeper, now_ms);
    (void)watch_set(&chore->watch, chore->chores->options.base, housekeeper_fd(chore->housekeeper),
                    housekeeper_events(chore->housekeeper));
    return sleep_ms;
}

int64_t chores_step(struct chores *chores, int64_t now_ms, bool stopping)
{
    int64_t news_ms = chore_step(&chores->news, now_ms, stopping);
    int64_t refreshes_ms = chore_step(&chores->refreshes, now_ms, stopping);
    return news_ms < refreshes_ms ? news_ms : refreshes_ms;
}

bool chores_idle(const struct chores *chores)
{
    return housekeeper_is_idle(chores->news.housekeeper) &&
           housekeeper_is_idle(chores->refreshes.housekeeper);
}
