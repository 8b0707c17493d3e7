-- Bars in the shares of the reader's date: prices and volumes from before a split are restated together, and where
-- dividends are among the actions prices also lose what was paid out. Only what was effective and known by {as_of} counts,
-- so a chart of a past date does not know the splits that came after it. Factors are DOUBLE, results rounded once.
WITH actions AS (
    SELECT instrument_id, effective_date,
           SUM(CASE WHEN action = 'split' THEN LN(CAST(ratio AS DOUBLE)) ELSE 0 END) AS log_shares,
           SUM(CASE WHEN action = 'split' THEN -LN(CAST(ratio AS DOUBLE)) ELSE LN(COALESCE(price_factor, 1)) END) AS log_price
    FROM {ledger}
    WHERE action IN ({actions}) AND effective_date <= {as_of} AND CAST(known_from AS DATE) <= {as_of}
    GROUP BY instrument_id, effective_date
),
factors AS (
    SELECT instrument_id, effective_date,
           COALESCE(LAG(effective_date) OVER (PARTITION BY instrument_id ORDER BY effective_date), DATE '1800-01-01')
               AS previous_date,
           EXP(SUM(log_shares) OVER (PARTITION BY instrument_id ORDER BY effective_date DESC)) AS share_factor,
           EXP(SUM(log_price) OVER (PARTITION BY instrument_id ORDER BY effective_date DESC)) AS price_factor
    FROM actions
)
SELECT bars.instrument_id, bars.interval, bars.bar_start, bars.bar_end, bars.session_date, bars.session, bars.symbol,
       COALESCE(CAST(ROUND(CAST(bars.open AS DOUBLE) * factors.price_factor, 6) AS DECIMAL(28, 6)), bars.open) AS open,
       COALESCE(CAST(ROUND(CAST(bars.high AS DOUBLE) * factors.price_factor, 6) AS DECIMAL(28, 6)), bars.high) AS high,
       COALESCE(CAST(ROUND(CAST(bars.low AS DOUBLE) * factors.price_factor, 6) AS DECIMAL(28, 6)), bars.low) AS low,
       COALESCE(CAST(ROUND(CAST(bars.close AS DOUBLE) * factors.price_factor, 6) AS DECIMAL(28, 6)), bars.close) AS close,
       COALESCE(CAST(ROUND(CAST(bars.volume AS DOUBLE) * factors.share_factor, 6) AS DECIMAL(38, 6)), bars.volume) AS volume,
       bars.vwap * COALESCE(factors.price_factor, 1) AS vwap,
       bars.trades, bars.source, bars.final_at,
       COALESCE(factors.price_factor, 1) AS price_factor,
       COALESCE(factors.share_factor, 1) AS share_factor
FROM {gold_bars} AS bars
LEFT JOIN factors
  ON factors.instrument_id = bars.instrument_id
 AND bars.session_date < factors.effective_date
 AND bars.session_date >= factors.previous_date
