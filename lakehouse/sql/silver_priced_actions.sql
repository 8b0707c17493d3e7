-- Every split and dividend with the factor by which it changes prices before it. Where the source of a dividend states
-- none, the factor is what was left of the last daily close before it; NULL where there is no such close.
WITH unpriced AS (
    SELECT instrument_id, effective_date, amount
    FROM {silver_corporate_actions}
    WHERE action = 'dividend' AND price_factor IS NULL
),
closes AS (
    SELECT unpriced.instrument_id, unpriced.effective_date, unpriced.amount,
           MAX_BY(bars.close, bars.session_date) AS close
    FROM unpriced
    JOIN {gold_bars} AS bars
      ON bars.instrument_id = unpriced.instrument_id AND bars.session_date < unpriced.effective_date
    WHERE bars.interval = '1d' AND bars.close IS NOT NULL
    GROUP BY unpriced.instrument_id, unpriced.effective_date, unpriced.amount
)
SELECT actions.instrument_id, actions.action, actions.effective_date, actions.ratio, actions.amount,
       COALESCE(actions.price_factor,
                CASE WHEN closes.close > closes.amount
                     THEN 1 - CAST(closes.amount AS DOUBLE) / CAST(closes.close AS DOUBLE) END) AS price_factor,
       actions.announced_at, actions.known_from, actions.origin
FROM {silver_corporate_actions} AS actions
LEFT JOIN closes
  ON closes.instrument_id = actions.instrument_id AND closes.effective_date = actions.effective_date
 AND actions.action = 'dividend'
