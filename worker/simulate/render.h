/*
 * From what the exam has decided to the bytes of a record.
 *
 * A pure function of the options and the intent, but for the buffers it reuses: so a record that is
 * sent again is the same in its form, its headers and its bytes.
 */
#ifndef WORKER_SIMULATE_RENDER_H
#define WORKER_SIMULATE_RENDER_H

#include "common/buf.h"
#include "worker/events/wrap.h"
#include "worker/simulate/content.h"
#include "worker/simulate/exam.h"
#include "worker/simulate/poison.h"

/* A record that will be. */
struct intent {
    enum exam_kind kind;
    uint32_t student, number; /* number: of the student's writes or activity; poison: of all */
    int64_t expected;         /* poison: a version too far ahead */
    int64_t at_ms;
    enum outcome outcome;
    enum reason reason;
    bool gap;
};

struct render {
    const struct exam_options *options;
    struct buf data;
    struct wrap wrap;
    struct poison poison;
    char key[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1], traceparent[64];
};

/* `options` must outlive the renderer. */
void render_init(struct render *render, const struct exam_options *options);
void render_release(struct render *render);

/* False when memory is short. `*ret` lives until the next call. */
bool render(struct render *render, const struct intent *intent, struct exam_record *ret);

#endif
