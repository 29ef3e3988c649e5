-- What about the server decides how fast it can be.
SELECT current_setting('server_version'), current_setting('fsync'),
       current_setting('synchronous_commit'), current_setting('full_page_writes'),
       current_setting('shared_buffers'), current_setting('max_wal_size')
