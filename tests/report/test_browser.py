"""The report in a real Chromium: it loads, searches, sorts, prints, fits a phone, is accessible.

Needs Chromium with its driver (Debian: chromium, chromium-driver) and selenium, and for the rules
of axe-core npm; says so if not.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study
from ablation_lab.store.publish import Published

pytestmark = pytest.mark.slow
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
if not shutil.which("chromium") or not shutil.which("chromedriver"):
    pytest.skip("Chromium or its driver is not installed", allow_module_level=True)

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "screenshots.py"
AXE = "axe-core@4.14.1"
PAGES = ("index", "values", "methods", "provenance", "xor_depth", "keep_prob", "ladder")
LOADED = "return [...document.images].every(image => image.complete && image.naturalWidth)"
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"
RULES = """
const done = arguments[arguments.length - 1];
axe.run({resultTypes: ["violations"]}).then(found => done(found.violations
  .filter(each => ["serious", "critical"].includes(each.impact))
  .map(each => `${each.id}: ${each.nodes.map(node => node.html).slice(0, 3).join(" ")}`)));
"""


def screenshots() -> Any:
    """The script whose browser takes the pictures of the documentation."""
    spec = importlib.util.spec_from_file_location("screenshots", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(studies: dict[str, Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose cells are published."""
    shown = [
        replace(
            study,
            published=Published("7", {cell.cell: "ab12" for cell in study.declaration.cells}),
        )
        for study in studies.values()
    ]
    return write_report(shown, profile="quick", reports=tmp_path_factory.mktemp("reports")).parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser that has no network."""
    with screenshots().browser(1280, 860) as driver:
        driver.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        yield driver


class Page:
    """A page of the report in the browser, at a width, dark or light, on a screen or on paper."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver, self.folder = driver, folder

    def open(
        self, name: str, *, width: int = 1280, scheme: str = "light", media: str = "screen"
    ) -> None:
        size = {"width": width, "height": 860, "deviceScaleFactor": 1, "mobile": width < 800}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": media, "features": features}
        )
        self.driver.get("about:blank")  # else an address that differs behind # loads nothing
        file, mark, anchor = name.partition("#")
        self.driver.get(f"{(self.folder / file).as_uri()}.html{mark}{anchor}")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def texts(self, selector: str) -> list[str]:
        return [each.text for each in self.all(selector) if each.text]


@pytest.fixture
def page(browser: Any, folder: Path) -> Page:
    return Page(browser, folder)


def test_pages_are_small_and_load_without_network_and_without_an_error(page: Page) -> None:
    for name in PAGES:
        assert (page.folder / f"{name}.html").stat().st_size < 100_000
        page.open(name)
        page.run("for (const image of document.images) image.loading = 'eager'")
        screenshots().until(lambda: page.run(LOADED), "every figure")
        used = page.run("return performance.getEntriesByType('resource').map(e => e.name)")
        assert all(each.startswith(("data:", page.folder.as_uri())) for each in used)
        assert page.driver.get_log("browser") == []


def test_the_opening_and_the_cards_lead_to_the_studies(page: Page) -> None:
    page.open("index")
    assert len(page.texts(".found li")) == 3
    assert page.texts(".contents a")[1:4] == page.texts(".card h2")
    page.all(".card h2 a")[1].click()
    assert page.driver.current_url.endswith("/ladder.html")
    assert page.texts(".served")[:3] == ["table", "charts", "compare"]


def test_a_search_leaves_the_cards_that_hold_every_word(page: Page) -> None:
    page.open("index")
    field = page.all(".search input")[0]
    field.send_keys("keep prob study")
    assert page.texts(".card h2") == ["The study keep_prob"]
    assert page.texts(".search .shown") == ["1 of 3"]
    field.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.BACKSPACE)
    assert len(page.texts(".card h2")) == 3


def test_a_table_sorts_both_ways_by_mouse_and_by_keyboard(page: Page) -> None:
    page.open("keep_prob#table-cells")
    assert page.run("return document.querySelector('#table-cells').open")
    heads = page.all("#table-cells thead tr:last-child th")
    column = next(i for i, head in enumerate(heads) if head.text == "n") + 1
    found = []
    button = heads[column - 1].find_element(By.TAG_NAME, "button")
    for press in (button.click, lambda: button.send_keys(Keys.ENTER)):
        press()
        cells = page.texts(f"#table-cells tbody td:nth-child({column})")
        found.append([int(text) for text in cells])
    assert found[0] == sorted(found[0])
    assert found[1] == sorted(found[0], reverse=True)
    assert found[0] != found[1]
    assert heads[column - 1].get_attribute("aria-sort") == "descending"


def test_a_table_filters_by_words(page: Page) -> None:
    page.open("xor_depth")
    page.run(OPEN_ALL)
    field = page.all("main .filter input")[0]
    part = "#" + str(page.run("return arguments[0].closest('main > [id]').id", field))
    rows = page.all(f"{part} tbody tr")
    field.send_keys("relu")
    shown = [row.text for row in rows if row.is_displayed()]
    assert 0 < len(shown) < len(rows)
    assert all("relu" in text for text in shown)
    assert page.texts(f"{part} .shown") == [f"{len(shown)} of {len(rows)}"]


def test_an_entry_leads_to_the_runs_of_its_cell(page: Page) -> None:
    page.open("ladder")
    page.run("arguments[0].click()", page.all("#table td a")[0])
    screenshots().until(lambda: page.texts("tr:target a"), "the runs of the cell")
    assert page.texts("tr:target a")[:3] == ["cell run", "all replicates", "0"]


def test_dark_is_as_the_system_has_it_until_somebody_chooses(page: Page) -> None:
    def lightness() -> int:
        colour = page.run("return getComputedStyle(document.body).backgroundColor")
        return int(colour.split("(")[1].split(",")[0])

    page.open("index", scheme="dark")
    assert lightness() < 60
    page.all(".scheme")[0].click()
    assert lightness() > 200
    page.all(".card h2 a")[0].click()
    assert lightness() > 200
    page.run("sessionStorage.clear()")


def test_on_paper_everything_is_open_and_nothing_is_cut(page: Page) -> None:
    page.open("xor_depth", media="print")
    assert (
        page.run("return [...document.querySelectorAll('details')].some(each => each.open)")
        is False
    )
    heights = page.run(
        "return [...document.querySelectorAll('details table')].map(each => each.checkVisibility())"
    )
    assert len(heights) > 3
    assert all(heights)
    assert not page.all(".bar")[0].is_displayed()


@pytest.mark.parametrize("width", [390, 768])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    for name in PAGES:
        page.open(name, width=width)
        page.run(OPEN_ALL)
        assert page.run("return innerWidth") == width
        assert page.run("return document.documentElement.scrollWidth") <= width, name


def test_a_wide_table_scrolls_in_a_box_of_its_own_by_keyboard(page: Page) -> None:
    page.open("xor_depth", width=390)
    box = page.all("#table .scroll")[0]
    assert page.run("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    box.send_keys(Keys.ARROW_RIGHT)
    screenshots().until(lambda: page.run("return arguments[0].scrollLeft", box) > 0, "a scroll")
    heights = page.run(
        "return [...arguments[0].querySelectorAll('tbody tr')].map(e => e.offsetHeight)", box
    )
    assert max(heights) < 45  # one line each
    page.open("xor_depth", width=1280)
    assert page.run("return [...document.querySelectorAll('#table .scroll')].every("
                    "e => e.scrollWidth <= e.clientWidth)")  # fmt: skip


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The rules of axe-core, of half a megabyte, from the npm registry."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed, which fetches axe-core")
    into = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", "--silent", AXE]
    done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{AXE} cannot be fetched: {done.stderr.strip()[-200:]}")
    with tarfile.open(into / done.stdout.split()[-1]) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        return member.read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, axe: str, scheme: str) -> None:
    for name, width in (("index", 1280), ("xor_depth", 1280), ("values", 1280), ("ladder", 390)):
        page.open(name, scheme=scheme, width=width)
        page.run(OPEN_ALL)
        page.run(axe)
        assert page.driver.execute_async_script(RULES) == [], name
