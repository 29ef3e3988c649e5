-- A deployer that dies in the middle of a long statement lets go of its locks within seconds.
SELECT set_config('client_connection_check_interval', '2s', false)
