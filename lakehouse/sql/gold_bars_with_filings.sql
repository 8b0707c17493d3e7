-- Every bar with the newest filing of its company that was known when it ended, whatever its form. NULL where there was none.
WITH lasting AS (
    SELECT filings.*,
           LEAD(known_from) OVER (PARTITION BY cik ORDER BY known_from, accession) AS known_to
    FROM {silver_filings} AS filings
)
SELECT bars.*, known.accession, known.form, known.filed_date, known.report_date, known.known_from AS filing_known_from
FROM {gold_bars} AS bars
LEFT JOIN {silver_instruments} AS instruments
  ON instruments.instrument_id = bars.instrument_id
 AND instruments.valid_from <= bars.session_date
 AND (instruments.valid_to IS NULL OR instruments.valid_to >= bars.session_date)
LEFT JOIN lasting AS known
  ON known.cik = instruments.cik
 AND known.known_from <= bars.bar_end
 AND (known.known_to IS NULL OR known.known_to > bars.bar_end)
