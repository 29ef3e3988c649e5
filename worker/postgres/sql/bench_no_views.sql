-- The benchmark measures saves alone: no view is refreshed meanwhile.
UPDATE view_schedules SET enabled = false
