"""The items of each form in their order, and how their titles begin. Data: nothing else knows an item."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One item of a form: its number, the part it stands in where numbers occur twice, and how titles of it begin."""

    number: str
    title: re.Pattern[str]
    part: str | None = None

    @property
    def name(self) -> str:
        """How the section is called: 7A, or II.1A where the part has to be said."""
        return f"{self.part}.{self.number}" if self.part else self.number


def _items(lines: str, part: str | None = None) -> tuple[Item, ...]:
    split = (line.strip().partition(" ") for line in lines.strip().splitlines())
    return tuple(Item(number, re.compile(rf"[\[(]?(?:{titles})", re.IGNORECASE), part) for number, _, titles in split)


_ANNUAL = _items(
    r"""
    1 (?:description of |the |our )*business|general
    1A risk factors
    1B unresolved
    1C cyber
    2 (?:description of |the |our )*propert
    3 legal proceedings
    4 mine safety|submission of matters|removed|reserved
    5 market
    6 selected|removed|reserved
    7 management\W{0,2}s?\s+discussion
    7A (?:quantitative|qualitative|disclosures? about market)
    8 (?:consolidated )?financial statements
    9 changes in|changes and|disagreements
    9A (?:disclosure )?controls|evaluation
    9A(T) controls
    9B other information
    9C disclosure regarding|foreign jurisdictions
    10 directors|executive officers
    11 (?:executive |management )?compensation|executive remuneration
    12 security ownership
    13 certain relationships
    14 principal account|exhibits|controls
    15 exhibits?|principal account|financial statement
    16 form 10\W?k\s+summary|summary|exhibits|none
    """
)
_QUARTERLY = _items(
    r"""
    1 (?:condensed |unaudited |interim |consolidated )*financial statements
    2 management\W{0,2}s?\s+discussion
    3 quantitative|qualitative
    4 (?:disclosure )?controls|evaluation
    """,
    "I",
) + _items(
    r"""
    1 legal proceedings
    1A risk factors
    2 unregistered|changes in securities|(?:issuer |share |stock )?(?:re)?purchases
    3 defaults?
    4 mine safety|submission of matters|removed|reserved
    5 other information
    6 exhibits?
    """,
    "II",
)
_CURRENT = _items(  # plain numbers until August 2004, decimal ones since
    r"""
    1 changes? in control
    2 acquisition
    3 bankruptcy
    4 changes? in
    5 other
    6 resignation
    7 (?:consolidated )?financial statements
    8 changes? in fiscal
    9 regulation fd
    10 amendment
    11 temporary
    12 (?:disclosure of )?results of
    1.01 entry into
    1.02 termination
    1.03 bankruptcy
    1.04 mine safety
    1.05 material cyber
    2.01 completion
    2.02 results of
    2.03 creation of
    2.04 triggering
    2.05 costs
    2.06 material impairment
    3.01 notice
    3.02 unregistered
    3.03 material modification
    4.01 changes? in
    4.02 non-?reliance
    5.01 changes? in control
    5.02 departure|election|appointment|compensatory
    5.03 amendment
    5.04 temporary
    5.05 amendment|waiver
    5.06 change in shell
    5.07 submission
    5.08 shareholder
    6.01 abs
    6.02 change of servicer
    6.03 change in credit
    6.04 failure
    6.05 securities act
    6.06 static
    7.01 regulation fd
    8.01 other
    9.01 financial statements|exhibits
    """
)
_FOREIGN = _items(
    r"""
    1 identity
    2 offer statistics
    3 key information
    4 information on|information about
    4A unresolved
    5 operating and
    6 directors
    7 major share
    8 financial information
    9 the offer|the listing
    10 additional information
    11 quantitative|qualitative
    12 descriptions? of
    13 defaults?
    14 material modification
    15 (?:disclosure )?controls
    15T controls
    16 reserved
    16A audit committee
    16B code of
    16C principal account
    16D exemption
    16E purchases?
    16F changes? in
    16G corporate governance
    16H mine safety
    16I disclosure regarding
    16J insider
    16K cyber
    17 (?:consolidated )?financial statements
    18 (?:consolidated )?financial statements
    19 exhibits
    """
)
ITEMS_OF: Mapping[str, tuple[Item, ...]] = {
    "10-K": _ANNUAL, "10-Q": _QUARTERLY, "8-K": _CURRENT, "20-F": _FOREIGN,
}  # fmt: skip
