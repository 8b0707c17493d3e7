-- Every bar with the measures that were known when it ended: those of the newest session that had closed by then. NULL where
-- there was none. Per-share measures and ratios are in the shares and at the close of that session, fundamentals_as_of.
SELECT bars.*, known.as_of AS fundamentals_as_of, known.period_end AS fundamentals_period_end, {measures}
FROM {gold_bars} AS bars
LEFT JOIN {gold_fundamentals_known} AS known
  ON known.instrument_id = bars.instrument_id
 AND known.known_from <= bars.bar_end
 AND (known.known_to IS NULL OR known.known_to > bars.bar_end)
