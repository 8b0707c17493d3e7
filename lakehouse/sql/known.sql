-- Rows of {rows} with the stretch in which each was the newest word on {of}: from known_from until known_to, when the next
-- one became known (NULL while none has). Of two that became known at once the one with the higher {tie} counts.
SELECT *
FROM (
    SELECT versions.*, {known_from}
           LEAD(versions.{at}) OVER (PARTITION BY {of} ORDER BY versions.{at}, versions.{tie}) AS known_to
    FROM {rows} AS versions
) AS lasting
WHERE known_to IS NULL OR known_to > {at}
