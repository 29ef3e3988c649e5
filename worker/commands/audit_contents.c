#include "worker/commands/audit_contents.h"

#include <inttypes.h>
#include <stdio.h>

void audit_contents_init(struct audit_contents *contents, struct audit *audit,
                         const struct audit_partition *partition)
{
    *contents = (struct audit_contents){ .audit = audit, .partition = partition };
    audit_batch_init(&contents->activity);
    audit_batch_init(&contents->rejected);
}

void audit_contents_release(struct audit_contents *contents)
{
    audit_batch_release(&contents->activity);
    audit_batch_release(&contents->rejected);
}

static void stored(void *self, const struct uuid *attempt_id, const struct activity *item)
{
    struct audit_batch *batch = &((struct audit_contents *)self)->activity;
    audit_batch_row(batch, "event_type", item->event_type);
    audit_batch_uuid(batch, "event_id", &item->event_id);
    audit_batch_uuid(batch, "attempt_id", attempt_id);
    audit_batch_int(batch, "at_us", item->occurred_at_us);
    if (bytes_present(item->payload))
        audit_batch_json(batch, "payload", item->payload);
    audit_batch_row_end(batch);
}

struct model_sink audit_contents_sink(struct audit_contents *contents)
{
    return (struct model_sink){ contents, stored };
}

void audit_contents_rejected(struct audit_contents *contents, const struct event *event,
                             int64_t offset)
{
    struct audit_batch *batch = &contents->rejected;
    audit_batch_row(batch, "topic", bytes_of(contents->partition->topic));
    audit_batch_int(batch, "partition", contents->partition->partition);
    audit_batch_int(batch, "generation", contents->partition->generation);
    audit_batch_int(batch, "record_offset", offset);
    audit_batch_uuid(batch, "attempt_id", &event->attempt_id);
    audit_batch_uuid(batch, "event_id", &event->event_id);
    audit_batch_int(batch, "expected_version", event->write.expected_version);
    audit_batch_json(batch, "event", event->data);
    audit_batch_row_end(batch);
}

static bool compare_activity(struct audit_contents *contents, struct err *err)
{
    struct pg_rows *rows;
    if (!audit_batch_run(&contents->activity, contents->audit->db, "audit_activity.sql", &rows,
                         err))
        return false;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        bool gone = pg_rows_bool(rows, i, 1);
        if (gone && pg_rows_bool(rows, i, 2)) {
            contents->audit->erased_activity++;
            continue;
        }
        struct difference *difference = differences_put(
            &contents->audit->differences, "activity_events", pg_rows_text(rows, i, 0, ""),
            "as in the log", gone ? "no row" : "other contents");
        if (difference != NULL)
            difference->about_order = !gone;
    }
    pg_rows_free(rows);
    return true;
}

static bool compare_rejected(struct audit_contents *contents, struct err *err)
{
    struct pg_rows *rows;
    char key[TOPIC_NAME_MAX + 48];
    if (!audit_batch_run(&contents->rejected, contents->audit->db, "audit_rejected.sql", &rows,
                         err))
        return false;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        (void)snprintf(key, sizeof key, "%s@%" PRId64, contents->partition->name,
                       pg_rows_int(rows, i, 2));
        (void)differences_put(&contents->audit->differences, "rejected_writes", key,
                              "the event as in the log", "other contents");
    }
    pg_rows_free(rows);
    return true;
}

static bool is_due(const struct audit_batch *batch, bool all)
{
    return batch->rows > 0 && (all || audit_batch_is_full(batch));
}

bool audit_contents_compare(struct audit_contents *contents, bool all, struct err *err)
{
    if (is_due(&contents->activity, all) && !compare_activity(contents, err))
        return false;
    return !is_due(&contents->rejected, all) || compare_rejected(contents, err);
}
