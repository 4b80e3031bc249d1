"""The HTML report in a real Chromium: it loads, links, sorts, filters, and fits a phone.

Needs Chromium with its driver (Debian: chromium, chromium-driver) and selenium; says so if not.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study
from ablation_lab.store.publish import Published

pytestmark = pytest.mark.slow
By = pytest.importorskip("selenium.webdriver.common.by").By
if not shutil.which("chromium") or not shutil.which("chromedriver"):
    pytest.skip("Chromium or its driver is not installed", allow_module_level=True)

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "screenshots.py"
SERVED = re.compile(
    r"http://127\.0\.0\.1:5000/#/(experiments/\d+/runs(/\w+|\?\S+)|compare-runs\?\S+)"
)
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"


def screenshots() -> Any:
    """The script whose browser takes the pictures of the documentation."""
    spec = importlib.util.spec_from_file_location("screenshots", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def index(studies: dict[str, Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose cells are published."""
    shown = [
        replace(
            study,
            published=Published("7", {cell.cell: "ab12" for cell in study.declaration.cells}),
        )
        for study in studies.values()
    ]
    return write_report(shown, profile="quick", reports=tmp_path_factory.mktemp("reports"))


@pytest.fixture
def page(index: Path) -> Iterator[Any]:
    """The report in a browser that has no network."""
    with screenshots().browser(1280, 860) as driver:
        driver.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        driver.get(index.as_uri())
        driver.execute_script(OPEN_ALL)
        yield driver


def texts(page: Any, selector: str) -> list[str]:
    return [each.text for each in page.find_elements(By.CSS_SELECTOR, selector) if each.text]


def test_it_loads_without_network_and_without_an_error(page: Any) -> None:
    assert page.get_log("browser") == []
    sizes = page.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(sizes) > 8
    assert min(sizes) > 0
    used = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in used if not name.startswith("data:")] == []


def test_every_link_resolves(page: Any, index: Path) -> None:
    links = page.execute_script("return [...document.links].map(link => link.href)")
    assert len(links) > 200
    named = "return [...document.querySelectorAll('[id]')].map(each => each.id)"
    anchors = set(page.execute_script(named))
    served = 0
    for link in set(links):
        parts = urlsplit(link)
        if parts.scheme == "http":
            assert SERVED.fullmatch(link), link
            served += 1
        elif parts.fragment:
            assert unquote(parts.fragment) in anchors
        else:
            assert Path(unquote(parts.path)).is_relative_to(index.parent)
            assert Path(unquote(parts.path)).is_file(), link
    assert served > 100


def test_every_study_leads_to_its_table_its_charts_and_its_comparison(page: Any) -> None:
    for study in ("keep_prob", "ladder", "xor_depth"):
        assert texts(page, f"#{study} .served-links a") == ["table", "charts", "compare"]


def test_an_entry_leads_to_the_runs_of_its_cell(page: Any) -> None:
    page.execute_script("document.querySelectorAll('details').forEach(each => each.open = false)")
    entry = page.find_element(By.CSS_SELECTOR, "#ladder td a")
    page.execute_script("arguments[0].click()", entry)
    screenshots().until(lambda: texts(page, "tr:target a"), "the runs of the cell")
    assert texts(page, "tr:target a")[:3] == ["cell run", "all replicates", "0"]


def test_a_table_sorts_by_any_column_both_ways(page: Any) -> None:
    table = page.find_element(By.CSS_SELECTOR, "header table")
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    declared = [head.text for head in heads].index("declared") + 1
    found = []
    for _ in range(2):
        heads[declared - 1].click()
        found.append([int(t) for t in texts(page, f"header tbody td:nth-child({declared})")])
    assert found[0] == sorted(found[0])
    assert found[1] == sorted(found[0], reverse=True)
    assert found[0] != found[1]


def test_a_table_filters_by_words(page: Any) -> None:
    field = next(
        each for each in page.find_elements(By.CSS_SELECTOR, "#xor_depth .filter input")
        if each.is_displayed()
    )  # fmt: skip
    box = field.find_element(By.XPATH, "./ancestor::p/following-sibling::div[1]")
    rows = box.find_elements(By.CSS_SELECTOR, "tbody tr")
    field.send_keys("relu")
    shown = [row.text for row in rows if row.is_displayed()]
    assert 0 < len(shown) < len(rows)
    assert all("relu" in text for text in shown)
    assert texts(page, "#xor_depth .shown") == [f"{len(shown)} of {len(rows)}"]
    emptied = "arguments[0].value = ''; arguments[0].dispatchEvent(new Event('input'))"
    page.execute_script(emptied, field)
    assert all(row.is_displayed() for row in rows)


@pytest.mark.parametrize("width", [390, 768])
def test_nothing_is_wider_than_the_screen(page: Any, width: int) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.refresh()
    page.execute_script(OPEN_ALL)
    assert page.execute_script("return innerWidth") == width
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
