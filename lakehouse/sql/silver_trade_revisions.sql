-- One row for each print that a cancel or correction took away: when, by which event, and what became of it (DECISIONS 4).
-- A print dies by any event that refers to it; a correction also by a later event about the print it corrects. The print
-- itself may still be on its way: a cancel that comes before its trade waits here.
WITH events AS (
    SELECT session_date, trade_id, kind, ref_session_date, ref_trade_id, received_at, ord
    FROM {silver_trades}
    WHERE kind <> 'trade'
),
words AS (
    SELECT ref_session_date AS session_date, ref_trade_id AS trade_id, 1 AS direct,
           kind, received_at, ord, session_date AS by_session_date, trade_id AS by_trade_id
    FROM events
    UNION ALL
    SELECT correction.session_date, correction.trade_id, 0 AS direct,
           rival.kind, rival.received_at, rival.ord, rival.session_date AS by_session_date, rival.trade_id AS by_trade_id
    FROM events AS correction
    JOIN events AS rival
      ON rival.ref_session_date = correction.ref_session_date AND rival.ref_trade_id = correction.ref_trade_id
    WHERE correction.kind = 'correct'
      AND (rival.received_at > correction.received_at
           OR (rival.received_at = correction.received_at
               AND (rival.ord > correction.ord
                    OR (rival.ord = correction.ord
                        AND (rival.trade_id > correction.trade_id
                             OR (rival.trade_id = correction.trade_id
                                 AND rival.session_date > correction.session_date))))))
),
ranked AS (
    SELECT session_date, trade_id, kind, by_session_date, by_trade_id,
           MIN(received_at) OVER (PARTITION BY session_date, trade_id) AS dead_at,
           ROW_NUMBER() OVER (
               PARTITION BY session_date, trade_id
               ORDER BY direct DESC, received_at DESC, ord DESC, by_trade_id DESC, by_session_date DESC) AS place
    FROM words
)
SELECT session_date, trade_id,
       CASE WHEN kind = 'cancel' THEN 'cancelled' ELSE 'corrected' END AS fate,
       dead_at, by_session_date, by_trade_id
FROM ranked
WHERE place = 1
