"""The compiled decoder and the judgement built on it say of every input exactly what the slow ones say."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.conditions import load_dialects
from lakehouse.kernels import dictionary
from lakehouse.kernels.dates import NO_DAY, day_of
from lakehouse.kernels.decode import CONTROL, DECODED, SLOW, make_room
from lakehouse.kernels.wide import SLACK
from lakehouse.reference.calendar import exchange_days, session_arrays
from streaming.fast_decode import decode_batch, decode_canonical, new_room
from streaming.judge import PRINT, Listings, Rules, days_of, distinct, judge_batch, judge_batches
from streaming.print_checks import FIRST_MS, LAST_MS, REF, SEQ_LIMIT
from streaming.wire import Print, encode_message
from tests.faults import corpus
from tests.faults.reference import LISTINGS, calendar, write_dialects
from tests.unit.slow_judge import judged_slowly

EPOCH_DAY, FOREVER = date(1970, 1, 1), 1 << 30
PADDING = b'{"type":"ping"}' + b" " * SLACK  # what lies within SLACK of the end is never read by the compiled decoder


@cache
def rules() -> Rules:
    """The rules of the fault harness."""
    by_ticker: dict[str, tuple[tuple[int, int, str], ...]] = {}
    for instrument, ticker, first, last in LISTINGS:
        until = FOREVER if last is None else (last - EPOCH_DAY).days
        by_ticker[ticker] = (*by_ticker.get(ticker, ()), ((first - EPOCH_DAY).days, until, instrument))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "dialects.yaml"
        write_dialects(path)
        return Rules(load_dialects(path), Listings(by_ticker), session_arrays(calendar()))


def batch_of(payloads: list[bytes | None]) -> pa.RecordBatch:
    arrived = datetime.fromtimestamp(corpus.ARRIVED_MS / 1000, UTC)
    return pa.record_batch(
        {
            "stream": pa.array(["market@1"] * len(payloads), pa.string()),
            "shard": pa.array([f"shard-{at % 3}" for at in range(len(payloads))], pa.string()),
            "sequence": pa.array([str(49_590 + at**3) for at in range(len(payloads))], pa.string()),
            "arrived_at": pa.array([arrived] * len(payloads), pa.timestamp("us", "UTC")),
            "payload": pa.array(payloads, pa.binary()),
        }
    )


def verdicts_on(payloads: list[bytes | None]) -> list[int]:
    """What the compiled decoder says of records, with enough behind them to look ahead."""
    column = pa.array([*payloads, PADDING], pa.binary())
    _, verdicts = decode_canonical(column, new_room(column), max_bytes=corpus.MAX_BYTES)
    return list(verdicts[:-1].tolist())


def assert_same_as_slow(payloads: list[bytes | None]) -> None:
    """Judgement of records, alone and in a larger batch, gives the rows of the slow judgement, in order."""
    whole = batch_of([b"not json", *payloads, PADDING])
    for batch in (whole, whole.slice(1), whole.slice(1, len(payloads))):
        rows = judge_batch(batch, rules())

        rows.validate(full=True)
        assert rows.to_pylist() == judged_slowly(batch, rules())


# --- Spelling prints in every way that is still valid, and in some that is not

SYMBOLS = st.sampled_from(["AAPL", "BRK.B", "ABCDEFGHIJKLMNO", "FB", "META", "ZZZZ", "A-1"])
IDS = st.text("ABCxyz019._:-", min_size=1, max_size=64)
CODES = st.text("@OIL16R!#$%&'()*+-./:;<=>?[]^_`{|}~", min_size=1, max_size=16)
MOMENTS = st.one_of(
    st.integers(corpus.TRADED_MS - 40 * 86_400_000, corpus.TRADED_MS + 400_000),
    st.integers(corpus.TRADED_MS - 43_200_000, corpus.TRADED_MS + 43_200_000),
    st.sampled_from([FIRST_MS, LAST_MS - 1, FIRST_MS - 1, LAST_MS]),
)
MICROS = st.one_of(st.integers(1, 10**9), st.integers(1, 9 * 10**12), st.sampled_from([1, 10**6, 123_450_000]))
DATES = st.dates(date(1, 1, 1)).map(date.isoformat)
AMOUNT_TEXTS = st.one_of(
    MICROS.map(lambda micros: str(micros)),
    MICROS.map(lambda micros: f"{micros // 10**6}.{micros % 10**6:06d}"),
    st.sampled_from(
        ["1", "1.0", "129.58", "0.5", "0.000001", "1.50", "8999999.999999", "9000000", "999999999.5", "0", "00"]
    ),
    st.sampled_from(
        ["-1", "1e3", "1.", ".5", "01", "0.0000001", "NaN", "Infinity", "1" * 30, "1.1234567", "+1", '"1"']
    ),
)
LISTED_SYMBOLS = st.sampled_from(["AAPL", "FB", "META", "BRK.B"])


def texts(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return values.map(json.dumps)


def or_null(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(values, values, values, st.just("null"))


REFS = texts(st.one_of(IDS, st.builds("{}/{}".format, DATES, IDS), st.just("2024-02-30/a1"), st.just("2024/a1")))
LISTED = st.lists(CODES, max_size=4).map(lambda codes: json.dumps(codes, separators=(",", ":")))
OPTIONAL = {
    "c": or_null(st.one_of(LISTED, LISTED, LISTED.map(lambda text: text.replace(",", " , ")), st.just("[ ]"))),
    "x": or_null(texts(CODES)),
    "id": or_null(texts(IDS)),
    "seq": or_null(st.sampled_from([0, 1, 17, SEQ_LIMIT - 1, SEQ_LIMIT, -1]).map(str)),
    "received_at": or_null(MOMENTS.map(str)),
    "z": st.sampled_from(["1", "-1", '"text"', "true", "false", "null", "[1]", "{}", '""', "1.25", '"é"', '"\\n"']),
    "received": st.sampled_from(["1", '"x"']),
}
KINDS = st.sampled_from([{}, {}, {}, {"kind": '"trade"'}, {"kind": "null"}, {"ref": "null"}])
REFERRING = st.fixed_dictionaries(
    {"kind": st.sampled_from(['"cancel"', '"correct"', '"Cancel"']), "ref": or_null(REFS)}
)
SPACES = st.sampled_from(["", "", "", " ", "\n\t", "\r ", "  "])


@st.composite
def print_spellings(draw: st.DrawFn) -> str:
    """A print with any of the optional fields, in any order; mostly valid."""
    given_fields = {
        "s": draw(texts(LISTED_SYMBOLS) if draw(st.booleans()) else texts(SYMBOLS)),
        "p": draw(AMOUNT_TEXTS)
        if draw(st.integers(0, 4)) == 0
        else draw(MICROS.map(lambda micros: str(micros / 10**6))),
        "t": draw(MOMENTS.map(str)),
        "v": draw(AMOUNT_TEXTS) if draw(st.integers(0, 4)) == 0 else str(draw(st.integers(1, 10_000))),
        **draw(st.fixed_dictionaries({}, optional=OPTIONAL)),
        **draw(st.one_of(KINDS, KINDS, REFERRING)),
    }
    if draw(st.integers(0, 9)) == 0:
        del given_fields[draw(st.sampled_from(["s", "p", "t", "v"]))]
    return spelled(draw, given_fields)


def spelled(draw: st.DrawFn, fields: dict[str, str]) -> str:
    names = draw(st.permutations(list(fields))) if draw(st.booleans()) else list(fields)
    gap = draw(SPACES)
    body = f"{gap},{gap}".join(f'"{name}"{gap}:{gap}{fields[name]}' for name in names)
    return f"{{{gap}{body}{gap}}}"


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A record of some prints, in any order of its parts; mostly valid."""
    prints = draw(st.lists(print_spellings(), max_size=4))
    gap = draw(SPACES)
    parts = {"type": '"trade"', "feed": draw(st.sampled_from(['"sim"', '"finnhub"', '"other"', '""', "7"]))}
    parts["data"] = f"[{gap}{f'{gap},'.join(prints)}{gap}]"
    if draw(st.booleans()):
        del parts["feed"]
    if draw(st.integers(0, 9)) == 0:
        parts |= draw(
            st.sampled_from([{"type": '"ping"'}, {"type": '"status"'}, {"z": "1"}, {"z": "[1]"}, {"type": "1"}])
        )
    return (gap + spelled(draw, parts) + gap).encode()


@st.composite
def encoded(draw: st.DrawFn) -> bytes:
    """A record as our own producers write it."""
    one = st.builds(
        Print, symbol=LISTED_SYMBOLS, price_micros=st.integers(1, 10**9), size_micros=st.integers(1, 10**12),
        traded_ms=MOMENTS,
        trade_id=st.none() | IDS, seq=st.none() | st.integers(0, SEQ_LIMIT - 1), received_ms=st.none() | MOMENTS,
        conditions=st.none() | st.lists(CODES, max_size=3).map(tuple), venue=st.none() | CODES,
    )  # fmt: skip
    return encode_message(draw(st.lists(one, min_size=1, max_size=4)), feed=draw(st.sampled_from(["sim", "finnhub"])))


def damaged(payload: bytes, chance: random.Random) -> bytes:
    """The record with a byte or two flipped, put in, left out or moved, or with its end cut off."""
    for _ in range(chance.randint(1, 2)):
        at, other = chance.randrange(len(payload) + 1), chance.randrange(len(payload) + 1)
        strange = bytes(
            [chance.choice(b'"\\{}[],:0123456789.eE-+ntfu \x00\x1f\x7f\x80\xc3\xff') or chance.randrange(256)]
        )
        payload = chance.choice(
            [
                payload[:at] + strange + payload[at + 1 :],
                payload[:at] + strange + payload[at:],
                payload[:at] + payload[at + 1 :],
                payload[:at],
                payload[: min(at, other)] + payload[max(at, other) :],
                payload[:at] + payload[min(at, other) : max(at, other)] + payload[at:],
            ]
        )
    return payload


@settings(max_examples=150, deadline=None)
@given(payloads=st.lists(st.one_of(messages(), encoded(), st.none()), max_size=4))
def test_any_spelling_is_judged_as_the_slow_path_judges(payloads: list[bytes | None]) -> None:
    assert_same_as_slow(payloads)


@settings(max_examples=150, deadline=None)
@given(
    payloads=st.lists(st.one_of(messages(), encoded()), min_size=1, max_size=3),
    chance=st.randoms(use_true_random=False),
)
def test_damaged_records_are_judged_as_the_slow_path_judges(payloads: list[bytes], chance: random.Random) -> None:
    assert_same_as_slow([damaged(payload, chance) if chance.random() < 0.7 else payload for payload in payloads])


@settings(max_examples=100, deadline=None)
@given(payload=encoded())
def test_what_our_producers_write_never_needs_the_slow_decoder(payload: bytes) -> None:
    stamps = [one[name] for one in json.loads(payload)["data"] for name in ("t", "received_at") if name in one]
    expected = DECODED if all(FIRST_MS <= stamp < LAST_MS for stamp in stamps) else SLOW

    assert verdicts_on([payload]) == [expected]


def test_every_kind_of_bad_and_odd_input_is_judged_as_the_slow_path_judges() -> None:
    payloads: list[bytes | None] = [case.payload for case in corpus.CASES if len(case.payload) < 2_000_000]
    random.Random(5).shuffle(payloads)

    assert_same_as_slow(payloads)


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        (b'{"data":[{"c":["1"],"p":129.58,"s":"AAPL","t":1732892400000,"v":1}],"type":"trade"}', DECODED),
        (b' { "type" : "trade" , "data" : [ { "s" : "AAPL", "p" : 1, "t" : 1732892400000, "v" : 2 } ] } ', DECODED),
        (b'{"type":"trade","data":[]}', DECODED),
        (b'{"type":"trade","note":"new field","data":[{"s":"A","p":1,"t":1732892400000,"v":1,"y":1.5}]}', DECODED),
        (b'{"type":"trade","data":[{"s":"A","p":1,"t":1732892400000,"v":1,"c":null,"x":null,"id":null}]}', DECODED),
        (b'{"type":"trade","data":[{"s":"A","t":1732892400000,"kind":"cancel","ref":"2024-11-29/a"}]}', DECODED),
        (b'{"type":"ping"}', CONTROL),
        (b'{"type":"status","data":[]}', CONTROL),
        (b'{"type":"trade","data":[{"s":"A","p":1,"t":1732892400000,"v":1,"y":1,"y":1}]}', SLOW),
        (b'{"type":"trade","data":[{"s":"A","p":1,"t":1732892400000,"v":1,"p":1}]}', SLOW),
        (b'{"type":"trade","type":"trade","data":[]}', SLOW),
        (b'{"type":"trade","data":[{"s":"\\u0041","p":1,"t":1732892400000,"v":1}]}', SLOW),
        (b'{"type":"trade","data":[{"s":"A","p":1e2,"t":1732892400000,"v":1}]}', SLOW),
        (b'{"type":"trade","data":[{"s":"A","p":1.1234567,"t":1732892400000,"v":1}]}', SLOW),
        (b'{"type":"trade","data":[]}x', SLOW),
        (b'\xef\xbb\xbf{"type":"trade","data":[]}', SLOW),
        (None, SLOW),
        (b"", SLOW),
    ],
)
def test_the_compiled_decoder_takes_what_it_is_sure_of_and_nothing_else(payload: bytes | None, verdict: int) -> None:
    assert verdicts_on([payload]) == [verdict]
    assert_same_as_slow([payload])


def test_a_record_ends_where_it_ends_whatever_lies_behind_it() -> None:
    whole = corpus.message(
        corpus.print_text(c='["1","12"]', x='"Q"', id='"a1"', seq="3", received_at=str(corpus.TRADED_MS), z='"}]}"'),
        corpus.print_text(kind='"correct"', ref='"2024-11-29/a1"'),
        head='"type":"trade","feed":"sim"',
    )
    halves = [part for at in range(len(whole)) for part in (whole[:at], whole[at:])]

    verdicts = verdicts_on([whole, *halves])

    assert verdicts == [DECODED, SLOW, DECODED, *[SLOW] * (len(halves) - 2)]
    assert_same_as_slow(list(halves))


def test_the_last_records_of_a_buffer_are_decoded_as_well() -> None:
    payloads = [encode_message([Print("AAPL", 10**6, 10**6, corpus.TRADED_MS)], feed="sim") for _ in range(3)]
    column = pa.array(payloads, pa.binary())

    prints, refusals, control = decode_batch(column, max_bytes=corpus.MAX_BYTES)

    assert (len(prints), refusals.record, control) == (3, [], [])


def test_a_batch_without_records_and_one_without_bytes_have_no_prints() -> None:
    for payloads in ([], [None, b""]):
        batch = batch_of(payloads)

        assert judge_batch(batch, rules()).to_pylist() == judged_slowly(batch, rules())


def test_batches_come_out_without_empty_ones_and_with_every_row() -> None:
    good, bad = encode_message([Print("AAPL", 10**6, 10**6, corpus.TRADED_MS)], feed="sim"), b"bad"

    pieces = [list(judge_batches([batch_of(payloads)], rules())) for payloads in ([good], [bad], [good, bad], [])]

    assert [[piece.num_rows for piece in found] for found in pieces] == [[1], [1], [1, 1], []]
    assert pieces[2][0].column("verdict").to_pylist() == [PRINT]


def test_more_texts_than_a_dictionary_holds_go_to_the_slow_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "LARGEST", dictionary.SMALLEST)
    held = dictionary.SMALLEST // 2
    payloads: list[bytes | None] = [
        encode_message([Print("AAPL", 10**6, 10**6, corpus.TRADED_MS, venue=f"V{at}")], feed="sim")
        for at in range(held + 9)
    ]

    assert verdicts_on(payloads) == [DECODED] * held + [SLOW] * 9
    assert_same_as_slow(payloads)


GUARDED = """
import ctypes, mmap, sys
import numpy as np, pyarrow as pa
from streaming.fast_decode import decode_batch
from tests.faults import corpus

memory = mmap.mmap(-1, 64 * mmap.PAGESIZE)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
last = 60 * mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mprotect(ctypes.c_void_p(start + last), ctypes.c_size_t(4 * mmap.PAGESIZE), 0) == 0
text = corpus.print_text(c='["1","12"]', id='"a1"', seq="3", received_at="1732892400000", kind='"trade"')
whole = corpus.message(text)
filler = b'{"type":"ping"}'
for at in range(1, len(whole) + 1):
    for tail in (whole[:at], whole[:at] + b'"' * 70, whole[:at] + b"1" * 70, whole[:at] + b" " * 70):
        records = [filler, whole, tail]
        data = b"".join(records)
        ctypes.memmove(start + last - len(data), data, len(data))
        offsets = pa.py_buffer(np.cumsum([0, *map(len, records)]).astype(np.int32))
        behind = pa.foreign_buffer(start + last - len(data), len(data))
        payloads = pa.Array.from_buffers(pa.binary(), 3, [None, offsets, behind])
        prints, refusals, _ = decode_batch(payloads, max_bytes=1 << 20)
        assert len(prints) >= 1 and len(refusals.record) <= 1
print("unharmed")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="guards memory with mprotect")
def test_nothing_behind_the_buffer_is_ever_touched() -> None:
    done = subprocess.run([sys.executable, "-c", GUARDED], capture_output=True, text=True, timeout=250, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, "unharmed"), done.stderr[-2000:]


@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(
        DATES, st.text("0123456789-/x", min_size=10, max_size=10), st.just("2100-02-29"), st.just("2000-02-29")
    )
)
def test_a_date_is_read_as_the_library_reads_it(text: str) -> None:
    data = np.frombuffer(text.encode() + bytes(SLACK), np.uint8)
    expected = NO_DAY
    if REF.fullmatch(f"{text}/a"):
        with suppress(ValueError):
            expected = (date.fromisoformat(text) - EPOCH_DAY).days

    assert day_of(data, 0, 10) == expected
    assert day_of(data, 0, 9) == NO_DAY


@settings(max_examples=60, deadline=None)
@given(stamps=st.lists(st.one_of(MOMENTS, st.integers(FIRST_MS, LAST_MS - 1)), max_size=30))
def test_exchange_dates_looked_up_by_the_quarter_are_those_of_the_calendar(stamps: list[int]) -> None:
    instants = np.array(stamps, np.int64)

    days = days_of(instants, "America/New_York")

    assert days.tolist() == exchange_days(instants, "America/New_York").tolist()


@settings(max_examples=60, deadline=None)
@given(keys=st.one_of(st.lists(st.integers(-3, 90)), st.lists(st.integers(0, 1 << 60), max_size=20)))
def test_different_keys_and_their_places_give_the_keys_again(keys: list[int]) -> None:
    found, place = distinct(np.array(keys, np.int64))

    assert found.tolist() == sorted(set(keys))
    assert found[place].tolist() == keys


@settings(max_examples=60, deadline=None)
@given(held=st.lists(st.integers(0, 9)), added=st.lists(st.integers(0, 9)))
def test_room_is_made_before_the_places_it_is_wanted(held: list[int], added: list[int]) -> None:
    old, new = np.sort(np.array(held, np.int64)), np.sort(np.array(added, np.int64))
    columns = np.zeros((2, len(held) + len(added)), np.int64)
    columns[:, : len(held)] = old
    places = np.searchsorted(old, new)

    make_room(columns, len(held), places)

    columns[:, places + np.arange(len(new))] = new
    assert columns.tolist() == [np.insert(old, places, new).tolist()] * 2
