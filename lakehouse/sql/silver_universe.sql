-- One row for each instrument listed on a day, under the ticker it carried then. A filer counts from its first filing on:
-- what was listed before it existed has no cik and no sector. For another day: this text with DATE '...' for {as_of}.
SELECT instrument_id, ticker, exchange, currency,
       CASE WHEN cik_from IS NULL OR cik_from <= {as_of} THEN cik END AS cik,
       name,
       CASE WHEN cik_from IS NULL OR cik_from <= {as_of} THEN sector END AS sector,
       valid_from, valid_to
FROM {silver_instruments}
WHERE valid_from <= {as_of} AND (valid_to IS NULL OR valid_to >= {as_of})
