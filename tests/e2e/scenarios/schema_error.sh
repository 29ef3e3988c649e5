# shellcheck shell=bash disable=SC2154
# a column is renamed under load: the partitions halt and say so, and heal when it is back
stage schema_error
run_worker
within 20 answers /readyz 200
play --students 30 --seconds 2
settle
sql "ALTER TABLE attempt_rows RENAME COLUMN auto_save_data TO renamed"
play --students 30 --seconds 2 --seed 2
within 30 says 'halt.*topic=.*reason=schema|"reason": *"schema"'
within 10 answers /readyz 503
kill -0 "$worker" || fail "attemptd run ended"
rc=0
attemptd doctor >doctor.txt || rc=$?
[ $rc = 78 ] || fail "doctor of a renamed column ended with $rc"
says 'statements PostgreSQL refuses [1-9].*auto_save_data.* does not exist' doctor.txt ||
    fail "doctor does not name the column: $(cat doctor.txt)"
sql "ALTER TABLE attempt_rows RENAME COLUMN renamed TO auto_save_data"
settle 100
within 20 answers /readyz 200
stop_worker
verify
