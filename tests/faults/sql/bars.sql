-- From the silver log to what gold.bars must hold: DESIGN section 3 and DECISIONS 4, 5, 6 and 8, read independently.
-- In:  silver as silver.sql makes it, sessions, intervals(interval, length_ms; NULL = the whole regular session), the variable grace_ms.
-- Out: bars.

-- Who takes a print away, and when that was received. An event speaks by (received, ord, trade_id).
CREATE OR REPLACE TEMP TABLE events AS
SELECT *, struct_pack(r := received_ms, o := ord, t := trade_id, d := session_date) AS word FROM silver WHERE kind <> 'trade';

CREATE OR REPLACE TEMP TABLE killers AS
SELECT ref_session_date AS session_date, ref_trade_id AS trade_id, kind AS killer, received_ms AS killed_ms, word, TRUE AS is_direct
FROM events
UNION ALL
SELECT mine.session_date, mine.trade_id, rival.kind, rival.received_ms, rival.word, FALSE
FROM events AS mine
JOIN events AS rival
    ON rival.ref_session_date = mine.ref_session_date AND rival.ref_trade_id = mine.ref_trade_id AND rival.word > mine.word
WHERE mine.kind = 'correct';

CREATE OR REPLACE TEMP TABLE fates AS
SELECT DISTINCT ON (session_date, trade_id) session_date, trade_id, killer AS fate
FROM killers
ORDER BY session_date, trade_id, is_direct DESC, word DESC;

CREATE OR REPLACE TEMP TABLE in_bars AS
SELECT
    prints.*,
    intervals.interval,
    epoch_ms(sessions.opens_at) AS opens_ms,
    epoch_ms(sessions.closes_at) AS closes_ms,
    greatest(opens_ms, least(traded_ms, closes_ms - 1)) - opens_ms AS into_session_ms,
    opens_ms + coalesce(into_session_ms // length_ms * length_ms, 0) AS start_ms,
    least(closes_ms, coalesce(start_ms + length_ms, closes_ms)) AS end_ms,
    end_ms + getvariable('grace_ms') AS cut_ms,
    fates.fate,
    received_ms <= cut_ms AS is_in_time,
    is_in_time AND NOT EXISTS (
        FROM killers
        WHERE killers.session_date = prints.session_date AND killers.trade_id = prints.trade_id AND killed_ms <= cut_ms
    ) AS is_first,
    fate IS NULL AS lives,
    (price_micros * size_micros + 500000) // 1000000 AS notional_micros
FROM silver AS prints
JOIN sessions ON sessions.session_date = prints.session_date AND sessions.session = prints.session
JOIN intervals ON intervals.length_ms IS NOT NULL OR prints.session = 'regular'
LEFT JOIN fates ON fates.session_date = prints.session_date AND fates.trade_id = prints.trade_id
WHERE prints.kind <> 'cancel';

CREATE OR REPLACE MACRO moves_last(e) AS e & 1 > 0;
CREATE OR REPLACE MACRO moves_range(e) AS e & 2 > 0;
CREATE OR REPLACE MACRO counts_volume(e) AS e & 4 > 0;
CREATE OR REPLACE MACRO counts_vwap(e) AS e & 8 > 0;

CREATE OR REPLACE TABLE bars AS
SELECT
    instrument_id, interval, start_ms, end_ms, session_date, session,
    min(symbol) AS symbol,
    arg_min(price_micros, row(ord, price_micros)) FILTER (lives AND moves_last(eligibility)) AS open,
    max(price_micros) FILTER (lives AND moves_range(eligibility)) AS high,
    min(price_micros) FILTER (lives AND moves_range(eligibility)) AS low,
    arg_max(price_micros, row(ord, price_micros)) FILTER (lives AND moves_last(eligibility)) AS close,
    coalesce(sum(size_micros) FILTER (lives AND counts_volume(eligibility)), 0) AS volume,
    coalesce(sum(notional_micros) FILTER (lives AND counts_vwap(eligibility)), 0) AS notional,
    coalesce(sum(size_micros) FILTER (lives AND counts_vwap(eligibility)), 0) AS vwap_volume,
    count(*) FILTER (lives AND counts_volume(eligibility)) AS trades,
    min(ord) FILTER (lives AND moves_last(eligibility)) AS open_ord,
    max(ord) FILTER (lives AND moves_last(eligibility)) AS close_ord,
    arg_min(price_micros, row(ord, price_micros)) FILTER (is_first AND moves_last(eligibility)) AS first_open,
    max(price_micros) FILTER (is_first AND moves_range(eligibility)) AS first_high,
    min(price_micros) FILTER (is_first AND moves_range(eligibility)) AS first_low,
    arg_max(price_micros, row(ord, price_micros)) FILTER (is_first AND moves_last(eligibility)) AS first_close,
    coalesce(sum(size_micros) FILTER (is_first AND counts_volume(eligibility)), 0) AS first_volume,
    count(*) FILTER (is_first AND counts_volume(eligibility)) AS first_trades,
    min(ord) FILTER (is_first AND moves_last(eligibility)) AS first_open_ord,
    max(ord) FILTER (is_first AND moves_last(eligibility)) AS first_close_ord,
    count(*) FILTER (NOT is_in_time) AS late_prints,
    count(*) FILTER (fate = 'cancel') AS cancelled_prints,
    count(*) FILTER (fate = 'correct') AS corrected_prints,
    late_prints + cancelled_prints + corrected_prints AS revision,
    any_value(cut_ms) AS final_ms
FROM in_bars
GROUP BY ALL;
