"""How complete are the prints of a symbol and session? By the collector's own numbers, and by a vendor's volume.

Two witnesses, which see different losses:

- The collector numbers the prints of each symbol and run without a gap, and tells once a minute which number comes
  next. So every print lost after its receipt (spool, stream, tables) is found, wherever it is and whatever it weighs.
  It says nothing of prints the vendor never sent.
- A vendor's minute bars say what volume there was. A loss is found if it leaves a minute of the regular session with
  less volume than the vendor has. Not found: prints that do not count for volume, losses in other sessions, and losses
  hidden by a surplus of ours in that very minute; surplus elsewhere pays for nothing. On Lean's ticks and minutes (IBM
  and BAC, 2013-10-07 to 11) none of 3,899 minutes is short and two have a surplus, so by default none is tolerated.
- A vendor's daily bar sees the sum only: a loss smaller than `1 - least_coverage` of it is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

COMPLETE, SHORT, UNKNOWN = "complete", "short", "unknown"
BY_MINUTES, BY_DAY, BY_NOTHING = "1m", "1d", "none"


@dataclass(frozen=True)
class Tolerance:
    """What is not yet called a loss: a share of the volume, and a share of the compared minutes."""

    least_coverage: float = 0.995
    short_minutes: float = 0.0


@dataclass(frozen=True)
class Witnessed:
    """What a reference says of one symbol and session: shares in millionths by minute of the session, or of the day."""

    minutes: Mapping[int, int] = field(default_factory=dict)
    day: int | None = None

    @property
    def kind(self) -> str:
        """The finest thing it can say."""
        return BY_MINUTES if self.minutes else BY_DAY if self.day is not None else BY_NOTHING


@dataclass(frozen=True)
class Scorecard:
    """How complete one symbol was in one session. Volumes are shares in millionths, of the minutes or day compared."""

    symbol: str
    prints: int
    lost_prints: int | None  # by the collector's numbers; None where prints carry none
    reference: str
    volume: int
    reference_volume: int
    short_volume: int
    minutes: int
    short_minutes: int
    verdict: str

    @property
    def coverage(self) -> float | None:
        """The share of the reference's volume that we have, surplus elsewhere not counted; None without reference."""
        return 1 - self.short_volume / self.reference_volume if self.reference_volume else None


def scorecard(
    symbol: str,
    prints: int,
    ours: Mapping[int, int],
    theirs: Witnessed,
    session_minutes: int,
    *,
    lost_prints: int | None,
    tolerance: Tolerance | None = None,
) -> Scorecard:
    """Compare our volume by minute of the session with a reference's; `lost_prints` as `lost_numbers` counts them."""
    tolerance = tolerance or Tolerance()
    if theirs.kind == BY_MINUTES:
        pairs = [(ours.get(minute, 0), theirs.minutes.get(minute, 0)) for minute in range(session_minutes)]
    else:
        pairs = [(sum(ours.values()), theirs.day or 0)]
    pairs = [(mine, right) for mine, right in pairs if mine or right]
    volume, reference = sum(mine for mine, _ in pairs), sum(right for _, right in pairs)
    short = [right - mine for mine, right in pairs if mine < right]
    found = Scorecard(
        symbol, prints, lost_prints, theirs.kind, volume, reference, sum(short), len(pairs), len(short), UNKNOWN
    )
    return Scorecard(**{**vars(found), "verdict": _verdict(found, tolerance)})


def _verdict(card: Scorecard, tolerance: Tolerance) -> str:
    """Short where any witness says so, complete where one vouches for it, unknown where none can."""
    coverage = card.coverage
    by_minutes = card.reference == BY_MINUTES
    if card.lost_prints or (coverage is not None and coverage < tolerance.least_coverage):
        return SHORT
    if by_minutes and card.short_minutes > tolerance.short_minutes * card.minutes:
        return SHORT
    return UNKNOWN if coverage is None else COMPLETE


@dataclass(frozen=True)
class Numbers:
    """The numbers one run gave one symbol in a session: from `low` on, up to before `high`. None where not told."""

    low: int | None = None
    high: int | None = None


def lost_numbers(seen: Mapping[str, Iterable[int]], promised: Mapping[str, Numbers]) -> int:
    """How many prints of one symbol are missing, of the runs that told of themselves.

    Where a run was killed before it told, its numbers are known from the first to the last that was seen.
    """
    lost = 0
    for run, span in promised.items():
        numbers = set(seen.get(run, ()))
        high = max(numbers, default=-1) + 1 if span.high is None else span.high
        low = min(numbers, default=high) if span.low is None else span.low
        lost += max(0, high - low) - sum(low <= number < high for number in numbers)
    return lost


def volume_refusal(recent: Sequence[Scorecard], missed_minutes: int, *, least_coverage: float) -> str | None:
    """Why a signal on volume must not be trusted for a symbol, None where it may be.

    `recent` are the scorecards of the last sessions; `missed_minutes` those of today in which the feed was down or the
    symbol mute. A session nobody can vouch for is no reason by itself, but one that somebody vouched for must be among
    them: a feed of unknown completeness is taken for thin.
    """
    if missed_minutes:
        return f"prints were missed in {missed_minutes} minutes of this session"
    thin = [card for card in recent if card.verdict == SHORT]
    if thin:
        worst = min(thin, key=lambda card: 1.0 if card.coverage is None else card.coverage)
        share = "unknown" if worst.coverage is None else f"{worst.coverage:.2%}"
        return f"{len(thin)} of the last {len(recent)} sessions were short (worst coverage {share})"
    vouched = [card for card in recent if card.verdict == COMPLETE]
    if not vouched:
        return f"nobody can vouch for the volume of the last {len(recent)} sessions"
    if any(card.coverage is not None and card.coverage < least_coverage for card in vouched):
        return f"a session covered less than {least_coverage:.2%} of the reference volume"
    return None
