"""Who is told, where and when: users with their zone, quiet hours and digest, and the portfolios they own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, model_validator

from lakehouse.alerts.rules import Name, Symbol
from lakehouse.settings import Section


class Terminal(Section):
    """The terminal of `tickhouse deliver`."""

    kind: Literal["terminal"]
    name: Name = "terminal"


class Sns(Section):
    """An SNS topic (e-mail, SMS, queues); without `topic` the one of the setting delivery.sns_topic."""

    kind: Literal["sns"]
    name: Name = "sns"
    topic: str | None = Field(None, pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$")


class Webhook(Section):
    """An HTTP address; it may hold a token, so conf names the environment variable that has it."""

    kind: Literal["webhook"]
    name: Name = "webhook"
    url_variable: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")


AnyChannel = Annotated[Terminal | Sns | Webhook, Field(discriminator="kind")]


class QuietHours(Section):
    """Wall-clock times of the user's zone between which only urgent alerts are sent; over midnight is usual."""

    begins: time
    ends: time

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.begins == self.ends:
            raise ValueError("expected begins and ends to differ: equal times would be no quiet hour or all of them")
        return self

    def cover(self, wall: time) -> bool:
        """Whether a wall-clock time is quiet."""
        if self.begins < self.ends:
            return self.begins <= wall < self.ends
        return wall >= self.begins or wall < self.ends


class User(Section):
    """One person: zone, quiet hours, the time of the digest, and at least one channel."""

    name: Name
    zone: str = "America/New_York"
    quiet: QuietHours | None = None
    digest: time = time(8)
    channels: tuple[AnyChannel, ...] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.zone not in available_timezones():
            raise ValueError(f"expected a zone of the time zone database such as Europe/Berlin, found {self.zone!r}")
        if twice := repeated(channel.name for channel in self.channels):
            raise ValueError(f"expected each channel name once, found {twice} more than once")
        return self

    @property
    def place(self) -> ZoneInfo:
        """The zone as Python knows it."""
        return ZoneInfo(self.zone)


class Lot(Section):
    """Shares bought at once, as they were on that day; splits since then are applied on read."""

    symbol: Symbol
    shares: float = Field(gt=0)
    price: float = Field(gt=0)
    bought: date


class Portfolio(Section):
    """What one user holds; `targets` are percent of the value, what is left of 100 is cash."""

    name: Name
    owner: Name
    cash: float = Field(0.0, ge=0)
    lots: tuple[Lot, ...] = Field(min_length=1)
    targets: dict[Symbol, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _targets_fit(self) -> Self:
        if any(share < 0 for share in self.targets.values()) or sum(self.targets.values()) > 100:
            raise ValueError(f"expected targets of 0 or more, 100 percent in all at most, found {self.targets}")
        return self

    @property
    def symbols(self) -> frozenset[str]:
        """What it holds."""
        return frozenset(lot.symbol for lot in self.lots)


def repeated(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, sorted."""
    listed = list(names)
    return sorted({name for name in listed if listed.count(name) > 1})
