-- Every transaction of the store: whatever the role's defaults are, each statement sees what was
-- committed before it began, and waits for rows that others hold.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE
