-- What COMMIT would find, found before the ROLLBACK of a trial.
SET CONSTRAINTS ALL IMMEDIATE
