# shellcheck shell=bash disable=SC2154
# duplicates, stale and late saves, gaps, missing starts and rubbish, on two workers
stage rubbish
run_worker --workers 2
play --students 300 --seconds 6
printf 'no-key' | kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}attempt.writes"
printf 'k\t' | kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}attempt.writes" -K '\t' -Z
printf 'k\t\n' | kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}attempt.activity" -K '\t'
attemptd simulate --students 150 --rate 0 --duplicates 0.05 --stale 0.05 --disorder 0.05 \
    --late 0.2 --poison 0.02 --json
settle
stop_worker
verify
