-- Versions of facts that were the newest word for some time, from known_from until known_to (NULL while they are). Of two
-- that became known at once the one with the lower accession never was.
SELECT *
FROM {silver_facts}
WHERE known_to IS NULL OR known_to > known_from
