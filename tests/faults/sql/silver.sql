-- From raw records to what silver and quarantine must hold: an independent reading of DESIGN section 3 and of the wire message.
-- In:  records(stream, shard, sequence, arrived_at, payload), listings, sessions, conditions(feed, code, bits, role), feeds(feed),
--      the variables future_ms and max_bytes.
-- Out: decoded (one row a print, good or bad), undecodable, control, and copies of one record folded: silver, refusals.

CREATE OR REPLACE MACRO is_number(t) AS coalesce(starts_with(t, chr(1)), FALSE);
CREATE OR REPLACE MACRO is_text(kind, t) AS coalesce(kind = 'VARCHAR' AND NOT starts_with(t, chr(1)), FALSE);
CREATE OR REPLACE MACRO is_whole(t) AS coalesce(is_number(t) AND regexp_full_match(substr(t, 2), '-?[0-9]+'), FALSE);
CREATE OR REPLACE MACRO whole(t) AS TRY_CAST(substr(t, 2) AS HUGEINT);
-- Whole millionths, half up; NULL where the number is not finite or beyond reason.
CREATE OR REPLACE MACRO micros(t) AS CAST(floor(TRY_CAST(substr(t, 2) AS DECIMAL(38, 18)) * 1000000 + 0.5) AS HUGEINT);
CREATE OR REPLACE MACRO is_instant(t) AS coalesce(is_whole(t) AND whole(t) >= 631152000000 AND whole(t) < 4102444800000, FALSE);
CREATE OR REPLACE MACRO is_name(t) AS coalesce(regexp_full_match(t, '[A-Za-z0-9._:\-]{1,64}'), FALSE);
CREATE OR REPLACE MACRO is_code(t) AS coalesce(regexp_full_match(t, '[!-~]{1,16}') AND NOT contains(t, ','), FALSE);
CREATE OR REPLACE MACRO exchange_date(ms) AS
    CAST((make_timestamp_ms(ms) AT TIME ZONE 'UTC') AT TIME ZONE 'America/New_York' AS DATE);

-- 1. Text. `bare` is the text without what stands in strings, `valued` the text with every number as a string marked by chr(1),
--    so that no number passes through a float.
CREATE OR REPLACE TEMP TABLE texts AS
SELECT
    row_number() OVER () AS record, bronze_ref, arrived_ms, bytes, is_utf8, text,
    regexp_replace(text, '"(?:[^"\\]|\\.)*"', '""', 'gs') AS bare,
    replace(replace(replace(
        regexp_replace(
            text,
            '("(?:[^"\\]|\\.)*")|(-?(?:Infinity|[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)|NaN)',
            '\1' || chr(1) || '\2' || chr(2), 'gs'
        ),
        chr(1) || chr(2), ''), chr(1), '"\u0001'), chr(2), '"'
    ) AS valued
FROM (
    SELECT
        stream || '/' || shard || '/' || sequence AS bronze_ref,
        epoch_ms(arrived_at) AS arrived_ms,
        coalesce(octet_length(payload), 0) AS bytes,
        TRY(decode(payload)) IS NOT NULL AS is_utf8,
        -- half a surrogate pair is legal JSON but no text: it becomes U+FFFD, which no field of ours accepts
        regexp_replace(
            regexp_replace(
                CASE WHEN octet_length(payload) <= getvariable('max_bytes') THEN coalesce(TRY(decode(payload)), '') ELSE '' END,
                '^\x{FEFF}', ''
            ),
            '\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\ufffd', 'g'
        ) AS text
    FROM records
);

CREATE OR REPLACE TEMP TABLE messages AS
SELECT
    record, bronze_ref, arrived_ms, bytes,
    CASE
        WHEN bytes > getvariable('max_bytes') THEN 'TOO_LARGE'
        WHEN NOT is_utf8 AND bytes > 0 THEN 'BAD_ENCODING'
        WHEN NOT json_valid(text)
            OR regexp_matches(bare, ',\s*[\]}]')
            OR regexp_matches(regexp_replace(bare, '\bNaN\b|-?\bInfinity\b', '0', 'g'), '(?i)nan|inf')
            OR regexp_matches(bare, '-NaN')
            OR contains(bare, repeat('[', 1000)) THEN 'NOT_JSON'
    END AS fault,
    CASE WHEN fault IS NULL THEN CAST(valued AS JSON) END AS message
FROM texts;

-- 2. Records: refused as a whole, control frames, and messages that carry prints.
CREATE OR REPLACE TEMP TABLE repeated_keys AS
SELECT DISTINCT record
FROM (
    SELECT record, tree.parent, tree.key
    FROM messages, json_tree(message) AS tree
    WHERE message IS NOT NULL AND tree.key IS NOT NULL
    GROUP BY ALL
    HAVING count(*) > 1
);

CREATE OR REPLACE TEMP TABLE judged_records AS
SELECT
    bronze_ref, arrived_ms, message,
    json_type(message, '$.type') AS type_kind, json_extract_string(message, '$.type') AS type,
    json_type(message, '$.feed') AS feed_kind, coalesce(json_extract_string(message, '$.feed'), 'finnhub') AS feed,
    CASE
        WHEN fault IS NOT NULL THEN fault
        WHEN record IN (FROM repeated_keys) THEN 'BAD_SHAPE'
        WHEN json_type(message) <> 'OBJECT' THEN 'BAD_SHAPE'
        WHEN is_text(type_kind, type) AND type IN ('ping', 'error', 'status') THEN NULL
        WHEN NOT is_text(type_kind, type) OR type <> 'trade' THEN 'UNKNOWN_TYPE'
        WHEN feed_kind IS NOT NULL AND NOT (is_text(feed_kind, feed) AND is_name(feed)) THEN 'BAD_SHAPE'
        WHEN coalesce(json_type(message, '$.data'), 'NULL') <> 'ARRAY' THEN 'BAD_SHAPE'
    END AS reasons
FROM messages;

CREATE OR REPLACE TABLE undecodable AS SELECT bronze_ref, reasons FROM judged_records WHERE reasons IS NOT NULL;
CREATE OR REPLACE TABLE control AS SELECT bronze_ref FROM judged_records WHERE reasons IS NULL AND type <> 'trade';

-- 3. Prints by themselves.
CREATE OR REPLACE TEMP TABLE fields AS
SELECT
    *,
    json_type(one, '$.s') AS s_kind, json_extract_string(one, '$.s') AS s,
    json_type(one, '$.p') AS p_kind, json_extract_string(one, '$.p') AS p,
    json_type(one, '$.v') AS v_kind, json_extract_string(one, '$.v') AS v,
    json_type(one, '$.t') AS t_kind, json_extract_string(one, '$.t') AS t,
    json_type(one, '$.x') AS x_kind, json_extract_string(one, '$.x') AS x,
    json_type(one, '$.id') AS id_kind, json_extract_string(one, '$.id') AS id,
    json_type(one, '$.c') AS c_kind, json_extract_string(one, '$.c[*]') AS codes,
    list_transform(json_extract(one, '$.c[*]'), code -> json_type(code)) AS code_kinds,
    json_extract_string(one, '$.seq') AS seq, json_type(one, '$.seq') AS seq_kind,
    json_extract_string(one, '$.received_at') AS stamp, json_type(one, '$.received_at') AS stamp_kind,
    json_type(one, '$.kind') AS kind_kind, coalesce(json_extract_string(one, '$.kind'), 'trade') AS kind,
    json_type(one, '$.ref') AS ref_kind, json_extract_string(one, '$.ref') AS ref,
    CASE WHEN is_number(p) THEN micros(p) END AS price_micros,
    CASE WHEN is_number(v) THEN micros(v) END AS size_micros,
    coalesce(price_micros > 0 AND price_micros < 9000000::HUGEINT * 1000000, FALSE) AS price_is_sane,
    coalesce(size_micros > 0 AND size_micros < 1000000000::HUGEINT * 1000000, FALSE) AS size_is_sane,
    CASE WHEN contains(ref, '/') THEN split_part(ref, '/', 1) END AS ref_day,
    CASE WHEN contains(ref, '/') THEN split_part(ref, '/', 2) ELSE ref END AS ref_id
FROM (
    SELECT bronze_ref, arrived_ms, feed, unnest(prints) AS one, generate_subscripts(prints, 1) - 1 AS position
    FROM (
        SELECT *, json_extract(message, '$.data[*]') AS prints FROM judged_records WHERE reasons IS NULL AND type = 'trade'
    )
);

CREATE OR REPLACE TEMP TABLE alone AS
SELECT
    *,
    CASE WHEN json_type(one) <> 'OBJECT' THEN ['BAD_SHAPE'] ELSE list_distinct(list_filter([
        CASE WHEN s IS NULL OR t IS NULL OR (kind <> 'cancel' AND (p IS NULL OR v IS NULL)) THEN 'MISSING_FIELD' END,
        CASE WHEN (s IS NOT NULL AND NOT is_text(s_kind, s)) OR (t IS NOT NULL AND NOT is_whole(t))
            OR (p IS NOT NULL AND NOT is_number(p)) OR (v IS NOT NULL AND NOT is_number(v))
            OR (x IS NOT NULL AND NOT (is_text(x_kind, x) AND is_code(x))) THEN 'WRONG_TYPE' END,
        CASE WHEN is_text(s_kind, s) AND NOT regexp_full_match(s, '[A-Z][A-Z0-9.\-]{0,14}') THEN 'BAD_SYMBOL' END,
        CASE WHEN is_number(p) AND NOT price_is_sane THEN 'BAD_PRICE' END,
        CASE WHEN is_number(v) AND NOT size_is_sane THEN 'BAD_SIZE' END,
        CASE WHEN price_is_sane AND size_is_sane AND price_micros * size_micros > 100000000000::HUGEINT * 1000000000000
            THEN 'BAD_NOTIONAL' END,
        CASE WHEN (is_whole(t) AND NOT is_instant(t)) OR (stamp IS NOT NULL AND NOT is_instant(stamp)) THEN 'BAD_TS' END,
        CASE WHEN coalesce(c_kind, 'NULL') NOT IN ('NULL', 'ARRAY')
            OR len(list_filter(code_kinds, k -> k <> 'VARCHAR')) > 0
            OR len(list_filter(codes, code -> NOT is_code(code))) > 0 THEN 'BAD_CONDITIONS' END,
        CASE WHEN (id IS NOT NULL AND NOT (is_text(id_kind, id) AND is_name(id)))
            OR (seq IS NOT NULL AND NOT coalesce(is_whole(seq) AND whole(seq) BETWEEN 0 AND 1048575, FALSE)) THEN 'BAD_ID' END,
        CASE WHEN coalesce(kind_kind, 'NULL') <> 'NULL' AND NOT (is_text(kind_kind, kind) AND kind IN ('trade', 'cancel', 'correct'))
            OR (kind = 'trade' AND ref IS NOT NULL) THEN 'BAD_KIND' END,
        CASE WHEN kind IN ('cancel', 'correct') AND ref IS NULL THEN 'MISSING_REF' END,
        CASE WHEN kind IN ('cancel', 'correct') AND ref IS NOT NULL AND NOT (
            is_text(ref_kind, ref) AND is_name(ref_id) AND len(ref) - len(replace(ref, '/', '')) <= 1
            AND (ref_day IS NULL OR (regexp_full_match(ref_day, '[0-9]{4}-[0-9]{2}-[0-9]{2}') AND TRY_CAST(ref_day AS DATE) IS NOT NULL))
            ) THEN 'BAD_ID' END
    ], code -> code IS NOT NULL)) END AS faults
FROM fields;

-- 4. Prints in the light of what is around them.
CREATE OR REPLACE TEMP TABLE placed AS
SELECT
    bronze_ref, position, arrived_ms, feed, kind, s AS symbol, x AS venue, price_micros, size_micros,
    CAST(whole(t) AS BIGINT) AS traded_ms,
    least(coalesce(CAST(whole(stamp) AS BIGINT), arrived_ms), arrived_ms) AS received_ms,
    exchange_date(CAST(whole(t) AS BIGINT)) AS session_date,
    coalesce(id, bronze_ref || '/' || position) AS trade_id,
    CASE WHEN len(codes) > 0 THEN array_to_string(codes, ',') END AS conditions,
    codes, CAST(whole(seq) AS BIGINT) AS seq,
    CASE WHEN ref IS NOT NULL THEN coalesce(TRY_CAST(ref_day AS DATE), session_date) END AS ref_session_date,
    CASE WHEN ref IS NOT NULL THEN ref_id END AS ref_trade_id
FROM alone
WHERE len(faults) = 0;

-- Eligibility is the AND over the codes of a print; a code without a row changes nothing. A role is opening or closing.
CREATE OR REPLACE TEMP TABLE with_codes AS
SELECT bronze_ref, position, bit_and(bits) AS bits, bool_or(role <> '') AS is_auction
FROM (SELECT bronze_ref, position, feed, unnest(codes) AS code FROM placed) JOIN conditions USING (feed, code)
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE surrounded AS
SELECT
    placed.*,
    listings.instrument_id,
    coalesce(with_codes.bits, 15) AS eligibility,
    CASE
        WHEN here.session = 'regular' THEN 'regular'
        WHEN with_codes.is_auction AND traded_ms >= epoch_ms(day.opens_at) - 600000 AND traded_ms < epoch_ms(day.closes_at) + 600000
            THEN 'regular'
        ELSE coalesce(here.session, 'none')
    END AS session,
    array_to_string(list_filter([
        CASE WHEN traded_ms > arrived_ms + getvariable('future_ms') THEN 'FUTURE_TS' END,
        CASE WHEN NOT EXISTS (FROM feeds WHERE feeds.feed = placed.feed) THEN 'UNKNOWN_FEED' END,
        CASE WHEN listings.instrument_id IS NULL THEN 'UNKNOWN_SYMBOL' END
    ], code -> code IS NOT NULL), ',') AS reasons
FROM placed
LEFT JOIN with_codes USING (bronze_ref, position)
LEFT JOIN listings
    ON ticker = symbol AND placed.session_date BETWEEN valid_from AND coalesce(valid_to, DATE '9999-12-31')
LEFT JOIN sessions AS here
    ON traded_ms >= epoch_ms(here.opens_at) AND traded_ms < epoch_ms(here.closes_at)
LEFT JOIN sessions AS day ON day.session_date = placed.session_date AND day.session = 'regular';

CREATE OR REPLACE TABLE decoded AS
SELECT bronze_ref, position, array_to_string(list_sort(faults), ',') AS reasons FROM alone WHERE len(faults) > 0
UNION ALL
SELECT bronze_ref, position, reasons FROM surrounded;

-- 5. The two tables: each refusal once, each print once, the copy received first.
CREATE OR REPLACE TABLE refusals AS
SELECT DISTINCT bronze_ref, position, reasons FROM decoded WHERE reasons <> ''
UNION
SELECT DISTINCT bronze_ref, -1, reasons FROM undecodable;

CREATE OR REPLACE TABLE silver AS
SELECT
    session_date, trade_id, kind, ref_session_date, ref_trade_id, symbol, instrument_id, feed, venue, traded_ms, received_ms, session,
    price_micros, size_micros, conditions, eligibility,
    traded_ms * 1048576 + coalesce(seq, crc32_of(trade_id) % 1048576) AS ord
FROM surrounded
WHERE reasons = ''
QUALIFY row_number() OVER (PARTITION BY session_date, trade_id ORDER BY received_ms, bronze_ref, position) = 1;
