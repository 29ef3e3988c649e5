-- One view that is due, locked; another worker's is skipped. Idle hours cost nothing: without news
-- only a request makes a view due. Times that lie ahead were written before the server's clock was put
-- back: nobody waits until it gets there again.
-- Gives its name and what a refresh that begins now will reflect: ledger, foreign changes, requests.
SELECT s.view_name, news.position, news.foreign_position, coalesce(r.requests, 0)
FROM view_schedules s
LEFT JOIN view_requests r USING (view_name)
CROSS JOIN (SELECT ledger_position() AS position, foreign_position() AS foreign_position) AS news
WHERE s.enabled
  AND coalesce(s.next_try_at <= now() OR s.next_try_at > now() + interval '6 minutes', true)
  AND (coalesce(r.requests, 0) > s.met_requests
       OR ((s.position, s.foreign_position) IS DISTINCT FROM (news.position, news.foreign_position)
           OR EXISTS (SELECT FROM view_schedules d
                      WHERE d.view_name = ANY (s.depends_on) AND d.as_of > s.as_of))
          AND (s.as_of IS NULL
               OR s.as_of > now() + interval '1 minute'
               OR s.as_of + s.every <= now()
               OR s.as_of + s.max_staleness <= now()
               OR cron_due(s.cron, s.as_of, now())))
ORDER BY s.as_of NULLS FIRST
LIMIT 1
FOR UPDATE OF s SKIP LOCKED
