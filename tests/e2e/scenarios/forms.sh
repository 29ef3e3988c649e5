# shellcheck shell=bash disable=SC2154
# binary CloudEvents, structured CloudEvents and bare JSON make one attempt; order of starts is free
stage forms
attempt=$(uuid) exam=$(uuid) student=$(uuid)
at=2026-05-01T10:00:00Z
save() { # VERSION ANSWERS
    echo "{\"attempt_id\":\"$attempt\",\"expected_version\":$1,\"answers\":$2,\"saved_at\":\"$at\"}"
}
send attempt.writes "$attempt" "$(save 1 '{"q1":"A","q2":1.50}')" ce_specversion=1.0 \
    "ce_id=$(uuid)" ce_source=/test ce_type=attempt.saved.v1 content-type=application/json
send attempt.writes "$attempt" "{\"specversion\":\"1.0\",\"id\":\"$(uuid)\",\"source\":\"/test\",
\"type\":\"attempt.saved.v1\",\"data\":$(save 2 '{"q2":null,"ü":[1e2,-0.0]}')}" \
    content-type=application/cloudevents+json
send attempt.writes "$attempt" "{\"type\":\"attempt.submitted.v1\",\"id\":\"$(uuid)\",\"data\":
{\"attempt_id\":\"$attempt\",\"expected_version\":4,\"submitted_at\":\"$at\"}}"
send attempt.writes "$attempt" "{\"type\":\"attempt.saved.v1\",\"id\":\"$(uuid)\",\"data\":$(save 3 '{}')}"
run_worker
settle
[ "$(sql "SELECT status, version, exam_id FROM attempts")" = "submitted|5|" ] || fail "without a start"
send attempt.writes "$attempt" "{\"type\":\"attempt.started.v1\",\"id\":\"$(uuid)\",\"data\":
{\"attempt_id\":\"$attempt\",\"exam_id\":\"$exam\",\"student_id\":\"$student\",
\"started_at\":\"$at\",\"deadline_at\":\"2026-05-01T09:59:59+00:00\"}}"
settle
sql "SELECT a.version, a.exam_id, s.after_deadline, s.missing FROM attempts a JOIN submissions s ON a.id = s.attempt_id" >row
[ "$(cat row)" = "5|$exam|t|1" ] || fail "a late start does not complete the submission: $(cat row)"
[ "$(sql "SELECT reason FROM rejected_writes")" = overtaken ] || fail "the overtaken save"
stop_worker
verify
