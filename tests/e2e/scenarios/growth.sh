# shellcheck shell=bash disable=SC2154,SC2034
# partitions are added and the schema is migrated under a running worker, without a restart
stage growth
expect 0 attemptd migrate down # a worker runs on the version before its own, so that deployments can roll
run_worker -X topic.metadata.refresh.interval.ms=2000
play --students 60 --seconds 2
settle
expect 0 attemptd migrate up
for topic in attempt.writes attempt.activity; do
    kafka_tool TopicCommand --alter --topic "$prefix$topic" --partitions 5
done
partitions=5

play --students 60 --seconds 2 --seed 2
settle
[ "$(sql "SELECT count(*) FROM ingest_progress WHERE partition >= 3 AND records > 0")" -ge 2 ] ||
    fail "nothing came through the new partitions"
stop_worker
verify
