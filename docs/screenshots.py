"""Pictures for docs/compare.md, taken from a real headless Chromium.

    .venv/bin/python docs/screenshots.py --store sqlite:///runs/mlflow.db --profile quick

In: a store with a published study, its report folder, Chromium with its driver. Out: PNG files in
docs/images: the run table, the charts and the compare page of MLflow, and the report on a desk and
on a phone.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import yaml
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

ROOT = Path(__file__).resolve().parent.parent
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
DESK, PHONE = (1280, 800), (390, 844)
COLOURS = 96  # enough for a page of text and charts, and a third of the bytes
PATIENCE = 120  # seconds for a server to start or a page to load
MLFLOW = {"table": "not_converged", "charts": "is better", "compare": "Comparing"}  # link: awaited
CLOSE_ASSISTANT = """
if (document.body.innerText.includes("Ask questions about"))
for (const button of document.querySelectorAll("button")) {
  const place = button.getBoundingClientRect();
  if (place.left > innerWidth - 70 && place.top < 80) button.click();
}
"""
WORDS = "return document.body.innerText"


@contextmanager
def browser(width: int, height: int) -> Iterator[Chrome]:
    """A headless Chromium with an empty profile, its page of the given size."""
    with tempfile.TemporaryDirectory() as profile:
        options = ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options=options, service=ChromeService("/usr/bin/chromedriver"))
        try:
            # A window is never narrower than 500 pixels; the page in it can be.
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            yield driver
        finally:
            driver.quit()


@contextmanager
def server(store: str, port: int) -> Iterator[str]:
    """The MLflow server of `make serve`, answering."""
    command = [sys.executable, "-m", "ablation_lab", "serve", f"tracking.uri={store}"]
    command += [f"port={port}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}/mlflow"
    try:
        until(lambda: answers(base), f"{base} to answer")
        yield base
    finally:
        process.terminate()
        process.wait()


def answers(address: str) -> bool:
    """Whether a server answers."""
    try:
        with urlopen(address, timeout=5):
            return True
    except (URLError, OSError):
        return False


def until(holds, what: str) -> None:  # type: ignore[no-untyped-def]
    """Wait until something holds; TimeoutError names what was waited for."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.3)


def shot(driver: Chrome, path: Path) -> None:
    """What the browser shows, with few colours."""
    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")


def settled(driver: Chrome, words: str) -> None:
    """Wait until the page shows the words and has stopped changing."""
    until(lambda: words in driver.execute_script(WORDS), f"{words!r} on {driver.current_url}")
    before = b""
    while (now := driver.get_screenshot_as_png()) != before:
        before = now
        time.sleep(1.5)


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="sqlite:///runs/mlflow.db")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--study", default="init_activation")
    parser.add_argument("--port", type=int, default=5057)
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as reports, server(options.store, options.port) as base:
        command = [sys.executable, "-m", "ablation_lab.report", "--store", options.store]
        command += ["--reports", reports, "--profile", options.profile]
        command += ["--base-url", base, "--publish"]
        settings = yaml.safe_load((ROOT / "conf" / "config.yaml").read_text(encoding="utf-8"))
        command += ["--order", *settings["study"]]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        pictures(Path(reports) / options.profile, options.study, options.into)


def pictures(report: Path, study: str, into: Path) -> None:
    """The report, and MLflow's pages as its links lead there."""
    page = (report / f"{study}.html").as_uri()
    with browser(*PHONE) as driver:
        driver.get(page)
        settled(driver, "Initialisation")
        shot(driver, into / "report_phone.png")
    with browser(*DESK) as driver:
        driver.get((report / "index.html").as_uri())
        settled(driver, "Ablation report")
        shot(driver, into / "report.png")
        driver.get(page)
        links = driver.find_elements(By.CSS_SELECTOR, ".served")[: len(MLFLOW)]
        addresses = {link.text: link.get_attribute("href") or "" for link in links}
        for name, words in MLFLOW.items():
            driver.get("about:blank")  # else only the part behind # changes, and nothing reloads
            driver.get(addresses[name])
            settled(driver, words)
            driver.execute_script(CLOSE_ASSISTANT)
            settled(driver, words)
            shot(driver, into / f"{name}.png")


if __name__ == "__main__":
    main()
