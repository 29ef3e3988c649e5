-- The settings by which the workers judge.
SELECT name, value FROM outcome_settings ORDER BY name
