/*
 * The inside of pg_store: what its files share.
 *
 * Each step of ports.h has a `begin`, which sends one round of statements, and may have a `done`
 * (the round went well: judge it, or send another round and set *ret_more) and a `failed` (may
 * change the error, or turn it into a success by returning true, also with another round). Results
 * are taken in callbacks between the two, straight into the plan.
 */
#ifndef WORKER_POSTGRES_PG_STORE_STEPS_H
#define WORKER_POSTGRES_PG_STORE_STEPS_H

#include "worker/postgres/pg_store.h"

/* An event of `row`, copied to where it stands by id and time: what is sent is walked several
 * times. */
struct ordered_activity {
    struct activity item;
    struct uuid attempt_id;
    struct activity_row *row;
};

struct pg_store {
    struct pg_store_options options;
    struct pg_session *session;
    struct pg_params params; /* reused by every statement */
    struct buf text;         /* reused for JSON that we write ourselves */
    struct buf ids;          /* struct uuid: attempts to be locked */

    struct store_call *call; /* NULL between calls */
    unsigned round;          /* of this call, from 0 */

    /* CONNECT */
    int64_t schema_version; /* 0: none */
    bool settings_accepted;
    struct buf differing; /* names of settings that differ */

    bool moves_known; /* OPEN: the compare-and-set was answered */

    /* the rows of the statements in flight */
    struct start_row *starts;
    size_t start_count, making_count; /* how many of them are to be made */
    struct fold **folds;
    size_t fold_count, written_count;
    struct ordered_activity *activities; /* each once */
    size_t activity_count;
    bool activity_is_plain;   /* was sent as if all of it were new */
    unsigned looking_flushes; /* so many more look for each event first */
};

struct pg_store_step {
    void (*begin)(struct pg_store *store);
    bool (*done)(struct pg_store *store, bool *ret_more, struct err *err);
    bool (*failed)(struct pg_store *store, bool *ret_more, struct err *err);
};

extern const struct pg_store_step pg_store_connect_step, pg_store_claim_step, pg_store_resolve_step,
    pg_store_mark_step, pg_store_open_step, pg_store_lock_step, pg_store_write_step,
    pg_store_close_step, pg_store_undo_step, pg_store_recall_step;

/* Sends a prepared statement with store->params. */
void pg_store_send(struct pg_store *store, const char *file, pg_on_result *on_result);

/* Sends a prepared statement that takes no parameters. */
void pg_store_send_plain(struct pg_store *store, const char *file, pg_on_result *on_result);

/* Two parameters: the topic and the partition of `count` structs, each with a `struct tp` at
 * `tp_offset` within its `stride` bytes. */
void pg_store_put_tps(struct pg_store *store, const void *items, size_t count, size_t stride,
                      size_t tp_offset);
#define PUT_TPS(store, items, count, type)                                                         \
    pg_store_put_tps((store), (items), (count), sizeof(type), offsetof(type, tp))

/* Reads column 0, an ordinal from 1 to count; ERR_BUG when it is none. */
bool pg_store_ordinal(const struct pg_result *result, size_t row, size_t count, size_t *ret_index,
                      struct err *err);

/* Answers of COMMIT: the tag, and no warning that it is not durable. */
bool pg_store_on_commit(void *self, const struct pg_result *result, struct err *err);

bool pg_store_no_memory(struct err *err);

/*
 * Shared by OPEN and WRITE (pg_store_rows.c). Exams are entered once, in the order of their ids and
 * before any attempt is touched; entered in two lots, they would set two workers against each
 * other.
 */
void pg_store_enter_exams(struct pg_store *store, const struct plan *plan);
void pg_store_send_starts(struct pg_store *store, const struct plan *plan);
void pg_store_send_new_rows(struct pg_store *store, const struct plan *plan);
void pg_store_send_folds(struct pg_store *store, struct fold **folds, size_t count,
                         int64_t jump_max);
void pg_store_put_starts(struct pg_store *store, const struct start_row *starts, size_t count);
bool pg_store_forgive_race(struct err *err);

/* The activity of OPEN (pg_store_activity.c). The second: true when OPEN failed because some of it
 * is stored already; then it was sent once more, for a round that the caller ends. */
void pg_store_send_activity(struct pg_store *store, struct plan *plan);
bool pg_store_activity_again(struct pg_store *store, const struct err *err);

/* The letters of a plan (pg_store_letters.c). */
void pg_store_send_letters(struct pg_store *store, const struct plan *plan);

/* Locks every attempt that the plan may touch, in the order of ids (pg_store_lock.c). */
void pg_store_send_lock_all(struct pg_store *store, const struct plan *plan);

#endif
