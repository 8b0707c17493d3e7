"""A lost, foreign or damaged checkpoint is recognised before a row is written."""

from __future__ import annotations

import pytest

from lakehouse.errors import CheckpointError
from lakehouse.lake import Lake
from lakehouse.settings import Settings
from lakehouse.tables.silver import TRADES
from streaming.identity import claim, next_generation, record


def start(lake: Lake, checkpoint: str, *, allow_replay: bool = False) -> tuple[str, int, bool]:
    """Claim and record, as a query does; and leave a trace of having run."""
    claimed = claim(lake, TRADES, "refine", checkpoint, allow_replay=allow_replay)
    record(lake, TRADES, checkpoint, claimed.identity)
    lake.files.write_text(f"{checkpoint}/offsets/0", 'v1\n{"batchWatermarkMs":0}\n{"index":1}')
    return claimed.identity.id, claimed.identity.generation, claimed.is_replay


def test_a_query_keeps_its_identity_over_restarts(lake: Lake, settings: Settings) -> None:
    checkpoint = settings.checkpoint("refine")

    first, again = start(lake, checkpoint), start(lake, checkpoint)

    assert first == again
    assert first[1:] == (0, False)


def test_a_lost_checkpoint_is_refused_and_replayed_under_a_new_generation_when_asked(
    lake: Lake, settings: Settings
) -> None:
    checkpoint = settings.checkpoint("refine")
    before = start(lake, checkpoint)
    lake.files.delete(checkpoint)

    with pytest.raises(CheckpointError, match=r"lost or foreign.*Nothing was read or written.*--allow-replay"):
        start(lake, checkpoint)
    identity, generation, is_replay = start(lake, checkpoint, allow_replay=True)

    assert identity != before[0]
    assert (generation, is_replay) == (1, True)
    assert start(lake, checkpoint) == (identity, 1, False)


def test_a_replay_that_died_before_it_was_recorded_is_still_a_replay(lake: Lake, settings: Settings) -> None:
    checkpoint = settings.checkpoint("refine")
    start(lake, checkpoint)
    lake.files.delete(checkpoint)

    claim(lake, TRADES, "refine", checkpoint, allow_replay=True)

    assert claim(lake, TRADES, "refine", checkpoint, allow_replay=True).is_replay


def test_a_checkpoint_of_another_table_is_refused_even_for_a_replay(lake: Lake, settings: Settings) -> None:
    checkpoint, other = settings.checkpoint("refine"), settings.checkpoint("refine") + "-other"
    start(lake, checkpoint)
    lake.files.write_text(f"{other}/tickhouse.json", '{"query": "refine", "id": "stranger", "generation": 0}')
    lake.files.write_text(f"{other}/offsets/0", 'v1\n{"index":1}')

    with pytest.raises(CheckpointError, match="stranger"):
        start(lake, other)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        start(lake, other, allow_replay=True)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("metadata", ""),
        ("metadata", '{"id":'),
        ("offsets/0", ""),
        ("offsets/0", "v1\n{"),
        ("commits/0", "garbage"),
        ("tickhouse.json", "{"),
    ],
)
def test_a_damaged_checkpoint_file_is_named_with_the_way_out(
    lake: Lake, settings: Settings, file: str, text: str
) -> None:
    checkpoint = settings.checkpoint("refine")
    start(lake, checkpoint)
    lake.files.write_text(f"{checkpoint}/{file}", text)

    with pytest.raises(CheckpointError, match=rf"{file}.*damaged.*Nothing was read or written.*--allow-replay"):
        start(lake, checkpoint)


def test_a_raised_generation_is_kept_in_both_places(lake: Lake, settings: Settings) -> None:
    checkpoint = settings.checkpoint("refine")
    before = start(lake, checkpoint)

    raised = next_generation(lake, TRADES, checkpoint, steps=2)

    assert (raised.id, raised.generation) == (before[0], 2)
    assert start(lake, checkpoint) == (before[0], 2, False)
