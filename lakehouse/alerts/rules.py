"""The twelve kinds of alert rule, as conf/alerts.yaml states them: what fires, what re-arms, who is told."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from datetime import date
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from lakehouse.settings import Section

SYMBOL = r"^[A-Z][A-Z0-9.\-]{0,14}$"
NAME = r"^[a-z][a-z0-9_\-]{0,62}$"
Symbol = Annotated[str, Field(pattern=SYMBOL)]
Name = Annotated[str, Field(pattern=NAME)]
Percent = Annotated[float, Field(gt=0, le=10_000)]
Direction = Literal["up", "down", "both"]
SessionName = Literal["pre", "regular", "post"]
Interval = Literal["1s", "1m", "5m", "15m", "1h", "1d"]
HALF = 0.5
JUST_ABOVE_ZERO = math.nextafter(0.0, 1.0)


class Levels(NamedTuple):
    """When an observed value fires and when it re-arms; values are signed so that more is always worse.

    With `must_cross` a value that is beyond the level when first seen does not fire: it has to come from the near side.
    """

    fire: float
    rearm: float
    cool_down_ms: int
    must_cross: bool = False
    per_session: bool = False
    until: date | None = None


class Scope(Section):
    """What a rule watches: some symbols, the whole watchlist, or portfolios (their symbols, or they themselves)."""

    symbols: tuple[Symbol, ...] = ()
    watchlist: bool = False
    portfolios: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if sum((bool(self.symbols), self.watchlist, bool(self.portfolios))) != 1:
            raise ValueError("expected exactly one of symbols, watchlist: true and portfolios")
        return self


class Rule(Section, ABC):
    """What all kinds share. Raise `version` after a change that should judge the running session anew."""

    must_cross: ClassVar[bool] = False
    per_session: ClassVar[bool] = False
    about_portfolios: ClassVar[bool] = False

    name: Name
    version: int = Field(1, ge=1)
    scope: Scope
    to: tuple[Name, ...] = ()
    urgent: bool = False
    deliver: Literal["now", "digest"] = "now"
    cool_down_seconds: float = Field(300.0, ge=1, le=7 * 86_400)
    until: date | None = None

    @model_validator(mode="after")
    def _is_scoped_as_its_kind_asks(self) -> Self:
        if self.about_portfolios and not self.scope.portfolios:
            raise ValueError("expected a scope with portfolios: this kind watches portfolios, not symbols")
        if self.urgent and self.deliver == "digest":
            raise ValueError("expected urgent or deliver: digest, found both: an urgent alert does not wait")
        return self

    @property
    @abstractmethod
    def sides(self) -> tuple[float, float]:
        """The value that fires and the value that re-arms."""

    @property
    def levels(self) -> Levels:
        """The rule's levels, as the life cycle takes them."""
        fire, rearm = self.sides
        cool_down = round(self.cool_down_seconds * 1000)
        return Levels(fire, rearm, cool_down, self.must_cross, self.per_session, self.until)


class PercentRule(Rule):
    """A rule that fires at `percent` and re-arms at `rearm_percent`, by default at half of it."""

    percent: Percent
    rearm_percent: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _rearms_below(self) -> Self:
        if self.rearm_percent is not None and self.rearm_percent >= self.percent:
            raise ValueError(f"expected rearm_percent below percent ({self.percent:g}), or it would fire for ever")
        return self

    @property
    def sides(self) -> tuple[float, float]:
        """`percent`, and `rearm_percent` or half of `percent`."""
        return self.percent, self.percent * HALF if self.rearm_percent is None else self.rearm_percent


class PriceJump(PercentRule):
    """The price moved by `percent` within `seconds`; `prints` in a row must lie there, so one bad print is none."""

    per_session: ClassVar[bool] = True

    kind: Literal["price_jump"]
    seconds: float = Field(gt=0, le=3600)
    direction: Direction = "both"
    prints: int = Field(2, ge=1, le=10)
    sessions: tuple[SessionName, ...] = ("regular",)


class VolumeSurge(Rule):
    """A bar's volume is `times` the median of the `bars` before it in the same session."""

    per_session: ClassVar[bool] = True

    kind: Literal["volume_surge"]
    times: float = Field(gt=1)
    bars: int = Field(20, ge=3, le=390)
    interval: Interval = "1m"
    sessions: tuple[SessionName, ...] = ("regular",)

    @property
    def sides(self) -> tuple[float, float]:
        """`times`, and half way back to the median."""
        return self.times, 1 + (self.times - 1) * HALF


class IndicatorCross(Rule):
    """One indicator crosses another, or a number; `margin` is the distance it must gain on either side."""

    must_cross: ClassVar[bool] = True

    kind: Literal["indicator_cross"]
    left: Name
    right: Name | float
    direction: Literal["above", "below"] = "above"
    margin: float = Field(0.0, ge=0)
    interval: Interval = "1d"

    @property
    def sides(self) -> tuple[float, float]:
        """Just beyond the margin, and the margin on the other side."""
        return max(self.margin, JUST_ABOVE_ZERO), -self.margin


class Anomaly(Rule):
    """A flag of gold.anomalies with at least this score; bad prints, splits and halts are flagged but told nobody."""

    kind: Literal["anomaly"]
    score: float = Field(gt=0)
    interval: Interval = "1m"
    ignore: tuple[str, ...] = ("print", "split", "halt")

    @property
    def sides(self) -> tuple[float, float]:
        """The score; a flag is an event and re-arms by its cool-down alone."""
        return self.score, self.score


class EventRule(Rule):
    """A rule whose every event is told: nothing to cross, nothing to re-arm, no cool-down."""

    cool_down_seconds: float = Field(0.0, ge=0, le=0)

    @property
    def sides(self) -> tuple[float, float]:
        """An event is there or not."""
        return 1.0, 1.0


class AdviceChange(EventRule):
    """The advice on a symbol is another than before; `to_actions` narrows it to some."""

    kind: Literal["advice_change"]
    to_actions: tuple[Literal["buy", "hold", "sell"], ...] = ("buy", "hold", "sell")


class FairValueCrossing(PercentRule):
    """The price comes to lie `percent` below (cheap) or above (dear) the middle of its fair value."""

    must_cross: ClassVar[bool] = True

    kind: Literal["fair_value_crossing"]
    direction: Literal["cheap", "dear", "both"] = "both"


class FilingArrival(EventRule):
    """A filing of one of `forms` (none: of any) was accepted; found later than `fresh_hours` it is history."""

    kind: Literal["filing_arrival"]
    forms: tuple[str, ...] = ()
    fresh_hours: float = Field(72.0, gt=0)


class NewsSentimentSwing(Rule):
    """Mean sentiment of the last `hours` is off that of the `base_hours` before by `swing` (of -1..1)."""

    kind: Literal["news_sentiment_swing"]
    swing: float = Field(gt=0, le=2)
    hours: float = Field(6.0, gt=0)
    base_hours: float = Field(72.0, gt=0)
    articles: int = Field(3, ge=1)
    direction: Direction = "both"

    @property
    def sides(self) -> tuple[float, float]:
        """The swing, and half of it."""
        return self.swing, self.swing * HALF


class PositionLoss(PercentRule):
    """A position is worth `percent` less than was paid for it."""

    about_portfolios: ClassVar[bool] = True

    kind: Literal["position_loss"]
    interval: Interval = "1m"


class WeightDrift(Rule):
    """A position's share of its portfolio is `points` (percentage points) off its target."""

    about_portfolios: ClassVar[bool] = True

    kind: Literal["weight_drift"]
    points: float = Field(gt=0, le=100)
    interval: Interval = "1m"

    @property
    def sides(self) -> tuple[float, float]:
        """The drift, and half of it."""
        return self.points, self.points * HALF


class PortfolioValueMove(PercentRule):
    """A portfolio's value moved by `percent` since the last valuation of the session before."""

    about_portfolios: ClassVar[bool] = True
    per_session: ClassVar[bool] = True

    kind: Literal["portfolio_value_move"]
    direction: Direction = "both"
    interval: Interval = "1m"


class ExDividendAhead(EventRule):
    """A held or watched symbol trades without its dividend in at most `days` calendar days."""

    kind: Literal["ex_dividend_ahead"]
    days: int = Field(3, ge=0, le=60)


AnyRule = (
    PriceJump
    | VolumeSurge
    | IndicatorCross
    | Anomaly
    | AdviceChange
    | FairValueCrossing
    | FilingArrival
    | NewsSentimentSwing
    | PositionLoss
    | WeightDrift
    | PortfolioValueMove
    | ExDividendAhead
)
