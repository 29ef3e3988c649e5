-- What only a worker can add to a submit by SQL. Its outcome was published.
--   $1 uuid[]    attempts
--   $2 bytea[]   digests of the answers
--   $3 text[]    receipts, null without a signing key
UPDATE submissions s
SET answers_digest = i.digest, receipt = i.receipt
FROM unnest($1::uuid[], $2::bytea[], $3::text[]) AS i (attempt_id, digest, receipt)
WHERE s.attempt_id = i.attempt_id AND s.answers_digest IS NULL
