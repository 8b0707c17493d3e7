-- Bars without holes: from the first bar of a session to its end, or to the reader's clock, a silent interval carries the
-- last close with volume 0. Nothing is carried from one session into the next, so daily bars need no filling.
WITH exchanges AS (
    SELECT DISTINCT instrument_id, exchange FROM {silver_instruments}
),
known AS (
    SELECT bars.instrument_id, bars.interval, bars.bar_start, bars.bar_end, bars.session_date, bars.session, bars.symbol,
           bars.open, bars.high, bars.low, bars.close, bars.volume, bars.vwap, bars.trades, bars.source,
           {last_close} OVER (
               PARTITION BY bars.instrument_id, bars.interval, bars.session_date, bars.session ORDER BY bars.bar_start
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS carried,
           LEAD(bars.bar_start) OVER (
               PARTITION BY bars.instrument_id, bars.interval, bars.session_date, bars.session ORDER BY bars.bar_start)
               AS next_start,
           sessions.closes_at,
           CASE bars.interval WHEN '1s' THEN INTERVAL '1' SECOND WHEN '1m' THEN INTERVAL '60' SECOND
                              WHEN '5m' THEN INTERVAL '300' SECOND WHEN '15m' THEN INTERVAL '900' SECOND
                              ELSE INTERVAL '3600' SECOND END AS length
    FROM {gold_bars} AS bars
    JOIN exchanges ON exchanges.instrument_id = bars.instrument_id
    JOIN {silver_sessions} AS sessions
      ON sessions.exchange = exchanges.exchange
     AND sessions.session_date = bars.session_date AND sessions.session = bars.session
),
gaps AS (
    SELECT known.*,
           CASE WHEN next_start IS NOT NULL THEN next_start WHEN closes_at <= {now} THEN closes_at ELSE {now} END AS gap_end
    FROM known
    WHERE known.interval <> '1d' AND carried IS NOT NULL
),
silent AS (
    SELECT gaps.*, slot
    FROM (SELECT * FROM gaps WHERE bar_end < gap_end) AS gaps
    {each_slot}
)
SELECT known.instrument_id, known.interval, known.bar_start, known.bar_end, known.session_date, known.session, known.symbol,
       COALESCE(known.open, known.carried) AS open, COALESCE(known.high, known.carried) AS high,
       COALESCE(known.low, known.carried) AS low, COALESCE(known.close, known.carried) AS close,
       known.volume, known.vwap, known.trades, known.source, FALSE AS is_filled
FROM known
UNION ALL
SELECT silent.instrument_id, silent.interval, silent.slot AS bar_start, LEAST(silent.slot + silent.length, silent.closes_at),
       silent.session_date, silent.session, silent.symbol,
       silent.carried AS open, silent.carried AS high, silent.carried AS low, silent.carried AS close,
       CAST(0 AS DECIMAL(28, 6)) AS volume, CAST(NULL AS DOUBLE) AS vwap, CAST(0 AS BIGINT) AS trades,
       silent.source, TRUE AS is_filled
FROM silent
WHERE LEAST(silent.slot + silent.length, silent.closes_at) <= {now}
   OR silent.next_start IS NOT NULL
