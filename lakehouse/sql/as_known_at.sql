-- Of each fact the newest version known at an instant. A version lasts from known_from until known_to, when the next one
-- of the same fact became known; of two that became known at once, the one with the lower accession lasts no time at all.
SELECT *
FROM {versions}
WHERE known_from <= {instant}
  AND (known_to IS NULL OR known_to > {instant})
