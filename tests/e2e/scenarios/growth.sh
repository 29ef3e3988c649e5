# shellcheck shell=bash disable=SC2154,SC2034
# partitions are added to the topics under a running worker, and taken up without a restart
stage growth
run_worker -X topic.metadata.refresh.interval.ms=2000
play --students 60 --seconds 2
settle
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
