"""A report in a real browser, from disk: everything is drawn, nothing is loaded, nothing complains, no text acts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from jobs import report
from jobs.cli import OK
from tests.browser import Page, browser_name, chromium
from tests.report_lake import write_session

pytestmark = pytest.mark.itest


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    lake = write_session(root / "lake")
    out = root / "report.html"
    assert report.main(["2025-03-03", "--out", str(out), "--set", f"paths.warehouse={lake}"]) == OK
    return out


@pytest.fixture
def page() -> Iterator[Page]:
    name = browser_name()
    if name is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with chromium(name) as one:
        yield one


def draw_all(page: Page) -> None:
    """Scroll to each chart, as a reader would."""
    for at in range(1, page.run("document.querySelectorAll('.plot').length") + 1):
        page.run(f"document.querySelector('#p{at}').scrollIntoView({{behavior: 'instant'}})")
        page.wait_until(f"document.querySelector('#p{at}').dataset.drawn === 'yes'")


def test_charts_are_drawn_without_a_complaint_a_request_or_an_act_of_a_hostile_text(file: Path, page: Page) -> None:
    page.open(file, width=1280, height=900)
    draw_all(page)

    assert page.run("document.querySelectorAll('#p2 .boxlayer path, #p2 .boxes path').length") >= 54
    assert page.run("document.querySelectorAll('#p2 .scatterlayer .trace').length") >= 4
    assert page.run("typeof window.hacked") == "undefined"
    assert page.run("[...document.querySelectorAll('img, a[href^=\"javascript\"]')].length") == 0
    assert page.complaints() == []
    assert page.requests() == []


def test_the_axes_move_by_buttons_and_a_change_of_light_draws_anew(file: Path, page: Page) -> None:
    page.open(file, width=1280, height=900)
    draw_all(page)
    ranged = "document.querySelector('#p2')._fullLayout.xaxis.range.map((one) => one.slice(11, 16)).join()"
    ground = "document.querySelector('#p2')._fullLayout.paper_bgcolor"
    assert page.run(ranged) == "09:30,16:00"
    light = page.run(ground)

    page.run("document.querySelector('[data-plot=p2] button[value=in]').click()")
    page.wait_until(f"{ranged} === '11:07,14:22'")
    page.run("document.querySelector('[data-plot=p2] button[value=day]').click()")
    page.wait_until(f"{ranged} === '09:30,16:00'")
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.wait_until(f"{ground} !== '{light}'")

    assert page.complaints() == []


def test_a_phone_scrolls_down_only(file: Path, page: Page) -> None:
    page.open(file, width=390, height=844, phone=True)
    draw_all(page)

    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.run("document.querySelector('#p2')._fullLayout.dragmode") is False
    assert page.complaints() == []


def test_a_screen_reader_finds_a_title_headings_and_names(file: Path, page: Page) -> None:
    page.open(file, width=1280, height=900)

    assert page.run("document.title") == "Session report, Monday 3 March 2025 · Tickhouse"
    levels = page.run("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.run("[...document.querySelectorAll('table')].every((one) => one.caption && one.querySelector('th'))")
    assert page.run("[...document.querySelectorAll('.plot')].every((one) => one.getAttribute('aria-label'))")
    assert page.run("new Set([...document.querySelectorAll('[id]')].map((one) => one.id)).size") == page.run(
        "document.querySelectorAll('[id]').length"
    )
