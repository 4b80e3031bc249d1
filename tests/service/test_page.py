"""The live page, as it is asked for and in a real Chromium: it fills while runs land."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml

from ablation_lab.service.client import Submitted
from ablation_lab.service.drawing import wishes
from ablation_lab.service.state import CellState, Progress, RunState, State, StudyState
from ablation_lab.service.view import view_of
from tests.cli.lab import wait_until
from tests.report.test_browser import screenshots
from tests.service.lab import HOSTILE, Service, study

YAML = {"content-type": "application/yaml"}
LATE = 1.0  # seconds after which a page shows what was told


def declared(replicates: int = 8) -> dict[str, Any]:
    """Two widths of XOR, by a title that must stay text."""
    return study(HOSTILE, profiles={"smoke": {"replicates": replicates}})


def submitted(service: Service, name: str, content: dict[str, Any]) -> str:
    text = yaml.safe_dump({name: content}, sort_keys=False)
    answer = service.post("/api/v1/studies", data=text, headers=YAML)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def state(values: list[list[float]], **changes: Any) -> tuple[StudyState, str]:
    """A study of two widths with values by cell, as far as they are there."""
    cells = tuple(
        CellState(f"width={name}", {"width": name}, tuple(_runs(of_cell)))
        for name, of_cell in zip(("small", "large"), values, strict=True)
    )
    text = yaml.safe_dump({"small": declared()})
    return StudyState("ab", "small", "smoke", cells=cells, **changes), text


def _runs(values: list[float]) -> Iterator[RunState]:
    yield from (RunState("finished", value, "" if value else "loss_at_chance") for value in values)
    yield from (RunState() for _ in range(8 - len(values)))


def test_contrasts_go_from_open_to_decided_by_the_statistics_of_the_report() -> None:
    verdicts = [view_of(*state([[0.0] * n, [1.0] * n])).comparisons[0].verdict for n in (0, 3, 8)]
    assert verdicts == ["needs n ≥ 6", "needs n ≥ 6", "better"]
    seen = view_of(*state([[0.0] * 8, [1.0] * 8]))
    assert (seen.decided, seen.cells) == (1, 2)
    assert [row.not_converged for row in seen.rows] == [8, 0]
    low, high = seen.rows
    assert low.at < high.at == high.high == 100
    assert low.low == low.at == 0


def test_ten_thousand_cells_are_a_page_of_a_table_in_no_time() -> None:
    runs = (RunState("finished", 1.0), RunState())
    cells = tuple(CellState(f"width={n}", {"width": str(n)}, runs) for n in range(10_000))
    text = yaml.safe_dump({"small": declared()})
    before = time.process_time()
    seen = view_of(StudyState("ab", "small", "smoke", cells=cells), text, first=9_950)
    assert time.process_time() - before < 1
    assert (len(seen.rows), seen.cells, seen.comparisons) == (50, 10_000, ())
    assert seen.rows[-1].cell.cell == "width=9999"


def test_what_can_be_asked_follows_from_the_state() -> None:
    said = {each: wishes(StudyState("a", "a", "smoke", state=each)) for each in State}
    assert set(said[State.RUNNING]) == {"pause", "cancel"}
    assert set(said[State.PAUSED]) == {"resume", "cancel"}
    assert (
        said[State.SUCCEEDED] == said[State.CANCELLING] | {} or "cancel" in said[State.CANCELLING]
    )
    failed = StudyState("a", "a", "smoke", state=State.FAILED, progress=Progress(failed=2))
    assert wishes(failed) == {"resume": "Retry failed"}


def test_pages_ask_nobody_else_and_take_texts_as_texts(service: Service, done: Submitted) -> None:
    for path in ("/", f"/studies/{done.id}", f"/studies/{done.id}/words"):
        answer = service.get(path)
        assert answer.ok
        assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
        assert "alert(1)</script>" not in answer.text
        assert "//" not in answer.text.split("<pre", 1)[0].split("Store:", 1)[0]
    assert "&lt;script&gt;alert(1)" in service.get("/").text
    assert service.get("/studies/nothing").status_code == 404
    assert service.get("/live/page.py").status_code == 404


def test_words_follow_a_run_within_a_second(service: Service) -> None:
    name = submitted(service, "small", declared(9) | {"title": "Followed"})
    with requests.get(f"{service.url}/api/v1/studies/{name}/events", stream=True, timeout=60) as at:
        kind = ""
        for line in at.iter_lines(decode_unicode=True):
            kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
            if line.startswith("data: ") and kind == "runs":
                came, told = time.time(), json.loads(line.removeprefix("data: "))["time"]
                break
    assert came - told < LATE
    assert "of 9</td>" in service.get(f"/studies/{name}/words").text


OF_A_PAGE = "return performance.getEntriesByType('resource').map(each => each.name)"
PIXELS = """
const box = document.getElementById('grid').getContext('2d'), found = new Set();
const {width, height} = document.getElementById('grid');
const all = box.getImageData(0, 0, width, height).data;
for (let at = 0; at < all.length; at += 4) found.add(all.slice(at, at + 3).join());
return found.size;
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromedriver"), reason="no Chromium with its driver")
def test_a_browser_sees_the_grid_fill_and_a_keyboard_goes_through_it(service: Service) -> None:
    name = submitted(service, "small", declared(12) | {"title": "Seen"})
    with screenshots().browser(1280, 860) as page:
        page.get(f"{service.url}/studies/{name}")
        one, active = page.find_element, page.switch_to

        def shown() -> str:
            return str(page.execute_script("return document.getElementById('words').innerText"))

        wait_until(lambda: "succeeded" in shown(), what="the page says that it is done")
        wait_until(lambda: "24 of 24" in shown(), what="all runs are counted")
        assert page.execute_script(PIXELS) > 3
        page.execute_script("document.getElementById('grid').focus()")
        active.active_element.send_keys("\ue015")  # arrow down
        assert one("id", "here").text.startswith("width=large, replicate 0: finished")
        assert one("id", "contrasts").text.count("\n") == 2
        asked = page.execute_script(OF_A_PAGE)
        assert asked
        assert all(each.startswith(service.url) for each in asked)
        assert [each for each in page.get_log("browser") if each["level"] == "SEVERE"] == []
        size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert page.execute_script("return document.documentElement.scrollWidth") == 390
        # Another one by its form, from the keyboard: its text, its plan, and it is submitted.
        page.get(f"{service.url}/compose?of={name}")
        wait_until(lambda: "2 cells, 24 runs" in one("id", "said").text, what="its plan is said")
        field = page.find_element("css selector", "[data-path='profiles/smoke/replicates']")
        field.clear()
        field.send_keys("13\t")
        wait_until(lambda: "2 cells, 26 runs" in one("id", "said").text, what="the new plan")
        assert "replicates: 13" in page.execute_script(
            "return document.getElementById('text').value"
        )
        assert page.execute_script("return document.documentElement.scrollWidth") == 390
        assert [each for each in page.get_log("browser") if each["level"] == "SEVERE"] == []
        one("id", "submit").send_keys("\n")
        wait_until(lambda: "/studies/" in page.current_url, what="it is submitted")
