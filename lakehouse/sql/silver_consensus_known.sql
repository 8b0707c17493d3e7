-- What analysts recommend of each symbol, from known_from until known_to: the counts of the newest month that was told of,
-- and their mean from 1 (strong sell) to 5 (strong buy), NULL where nobody recommends. An older month that is told of anew
-- displaces no newer one.
WITH months AS (
    SELECT symbol, period, known_from,
           COALESCE(MAX(CASE WHEN measure = 'strong_sell' THEN value END), 0) AS strong_sell,
           COALESCE(MAX(CASE WHEN measure = 'sell' THEN value END), 0) AS sell,
           COALESCE(MAX(CASE WHEN measure = 'hold' THEN value END), 0) AS hold,
           COALESCE(MAX(CASE WHEN measure = 'buy' THEN value END), 0) AS buy,
           COALESCE(MAX(CASE WHEN measure = 'strong_buy' THEN value END), 0) AS strong_buy
    FROM {silver_opinions}
    WHERE kind = 'recommendation' AND value IS NOT NULL
    GROUP BY symbol, period, known_from
),
so_far AS (
    SELECT months.*,
           MAX(period) OVER (PARTITION BY symbol ORDER BY known_from, period
                             ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest_period
    FROM months
),
lasting AS (
    SELECT symbol, period, strong_sell, sell, hold, buy, strong_buy, known_from,
           LEAD(known_from) OVER (PARTITION BY symbol ORDER BY known_from, period) AS known_to
    FROM so_far
    WHERE period = newest_period
)
SELECT symbol, period, strong_sell, sell, hold, buy, strong_buy,
       (strong_sell + 2 * sell + 3 * hold + 4 * buy + 5 * strong_buy)
           / NULLIF(strong_sell + sell + hold + buy + strong_buy, 0) AS consensus,
       known_from, known_to
FROM lasting
WHERE known_to IS NULL OR known_to > known_from
