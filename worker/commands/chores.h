/*
 * What a worker does besides the events: two housekeepers, so that no refresh of minutes holds up a
 * piece of news, and what they need here.
 *
 * Each has a database session, a herald and a watch of its own. The heralds stand between the
 * engine and the publisher, so the engine gets chores_port() as its publisher; what the
 * housekeepers see of the ledger goes to the engine, and all else that they note to the views.
 */
#ifndef WORKER_COMMANDS_CHORES_H
#define WORKER_COMMANDS_CHORES_H

#include "worker/commands/herald.h"
#include "worker/commands/second_look.h"
#include "worker/commands/views.h"
#include "worker/commands/watch.h"
#include "worker/engine/engine.h"
#include "worker/settings.h"

struct event_base;

struct chores_options {
    const struct settings *settings;
    struct journal_log *journal;
    struct event_base *base;
    struct publisher publisher;
    const struct pg_session *writer; /* the engine's, to name its server */
    int64_t ttl_hint_s;
    uint64_t seed;
};

/* A housekeeper and what it needs. */
struct chore {
    struct chores *chores;
    struct herald herald;
    struct housekeeper *housekeeper;
    struct watch watch;
};

/* Must not move. All zero is nothing to release. */
struct chores {
    struct chores_options options;
    struct engine *engine;
    struct chore news, refreshes;
    struct views views;
    struct second_look second_look;
};

/* What `options` points to must outlive it. After a failure release it all the same. */
bool chores_init(struct chores *chores, const struct chores_options *options, struct err *err);
void chores_release(struct chores *chores);

/* The engine's publisher. */
struct publisher chores_port(struct chores *chores);

/* To be told where the ledger stands; before the first step. */
void chores_tell(struct chores *chores, struct engine *engine);

/*
 * Does what can be done without waiting; a worker that is stopping begins nothing new. Returns
 * after how many ms to call again at the latest. After engine_step(), which has just told which
 * messages arrived.
 */
int64_t chores_step(struct chores *chores, int64_t now_ms, bool stopping);

/* Nothing is under way: a good moment to end. */
bool chores_idle(const struct chores *chores);

#endif
