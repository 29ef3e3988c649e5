-- Is the benchmark's schema there already?
SELECT to_regnamespace('attemptd_bench') IS NOT NULL
