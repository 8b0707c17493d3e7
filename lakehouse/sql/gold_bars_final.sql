-- Every bar with `is_final`: whether the reader's clock has passed its end plus the grace for late prints (DECISIONS 2).
SELECT bars.*, bars.final_at <= {now} AS is_final
FROM {gold_bars} AS bars
