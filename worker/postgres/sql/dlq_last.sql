-- The newest letter: what dies again while letters are sent again comes after it.
SELECT coalesce(max(id), 0) FROM dead_letters
