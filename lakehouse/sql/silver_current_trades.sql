-- One row for each print that stands: cancels and corrections applied, eligibility as four booleans.
SELECT prints.session_date, prints.trade_id, prints.kind, prints.ref_session_date, prints.ref_trade_id,
       prints.symbol, prints.instrument_id, prints.feed, prints.venue, prints.traded_at, prints.received_at, prints.session,
       prints.price, prints.size, prints.conditions,
       MOD(prints.eligibility, 2) = 1 AS moves_last,
       MOD(prints.eligibility, 4) >= 2 AS moves_range,
       MOD(prints.eligibility, 8) >= 4 AS counts_volume,
       MOD(prints.eligibility, 16) >= 8 AS counts_vwap,
       prints.ord
FROM {silver_trades} AS prints
LEFT JOIN {silver_trade_revisions} AS revisions
  ON revisions.session_date = prints.session_date AND revisions.trade_id = prints.trade_id
WHERE prints.kind <> 'cancel' AND revisions.trade_id IS NULL
