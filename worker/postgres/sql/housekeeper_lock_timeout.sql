-- Attaching a partition must not make writers queue behind it.
SELECT set_config('lock_timeout', '50ms', true)
