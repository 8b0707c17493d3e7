"""The producer of the latency row: records at a steady rate into Kinesis, and when each was acknowledged."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streaming.emulators import local_client

TICK_SECONDS, CALL_LIMIT, SYMBOLS = 0.1, 500, 2_000
PER_RECORD = 5
STEPS = np.array([-2, -1, 0, 1, 2])


def produce(address: str, stream: str, rate: int, seconds: int, output: Path) -> None:
    """Send `rate` trades a second for so long; `output` gets a row a record: number, symbol, times of print and ack.

    What could not be sent by then stays unsent, and is missed in `output`.
    """
    client, dice = local_client(address, stream), np.random.default_rng(rate)
    shares = np.cumsum(1.0 / np.arange(1, SYMBOLS + 1))
    per_tick, acks, number = int(rate * TICK_SECONDS / PER_RECORD), [], 0
    start = time.monotonic()
    for tick in range(int(seconds / TICK_SECONDS)):
        time.sleep(max(0.0, start + tick * TICK_SECONDS - time.monotonic()))
        if time.monotonic() > start + seconds:
            break
        now = time.time_ns() // 1_000_000
        symbols = np.searchsorted(shares, dice.random(per_tick) * shares[-1])
        records = [_record(number + at, int(symbol), now) for at, symbol in enumerate(symbols)]
        for at in range(0, per_tick, CALL_LIMIT):
            _put(client, stream, records[at : at + CALL_LIMIT])
            acked = time.time_ns()
            acks += [(number + one, int(symbols[one]), now, acked) for one in range(at, min(at + CALL_LIMIT, per_tick))]
        number += per_tick
    columns = zip(*acks, strict=True)
    pq.write_table(
        pa.table(dict(zip(("record", "symbol", "traded_ms", "acked_ns"), map(list, columns), strict=True))), output
    )


def _record(number: int, symbol: int, now: int) -> dict[str, Any]:
    ticker, price = f"Z{symbol:04d}", 1_500 + symbol * 19
    prints = ",".join(
        f'{{"s":"{ticker}","p":{(price + number * 7 % 30) / 100},"t":{now},"v":{100 + place},"c":["@"],"x":"Q",'
        f'"id":"L{number}-{place}","seq":{place},"received_at":{now}}}'
        for place in range(PER_RECORD)
    )
    return {"Data": f'{{"type":"trade","feed":"sim","data":[{prints}]}}'.encode(), "PartitionKey": ticker}


def _put(client: Any, stream: str, records: list[dict[str, Any]]) -> None:
    """Send until every record is taken."""
    left = records
    while left:
        answers = client.put_records(StreamName=stream, Records=left)["Records"]
        left = [record for record, answer in zip(left, answers, strict=True) if "ErrorCode" in answer]


if __name__ == "__main__":
    produce(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
