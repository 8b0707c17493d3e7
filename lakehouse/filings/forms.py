"""The forms whose documents are fetched, read and archived."""

from __future__ import annotations

MAIN_FORMS = ("10-K", "10-KT", "10-Q", "10-QT", "8-K", "20-F")
FORMS = frozenset(MAIN_FORMS) | {f"{form}/A" for form in MAIN_FORMS}


def base_form(form: str) -> str:
    """The form whose items a filing has: amendments and transition reports have those of their form."""
    plain = form.removesuffix("/A")
    return plain.removesuffix("T") if plain in ("10-KT", "10-QT") else plain
