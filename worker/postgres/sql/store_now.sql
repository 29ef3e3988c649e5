-- The time of this transaction: what messages call the time of commit.
SELECT now()
