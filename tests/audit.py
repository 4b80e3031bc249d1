"""``python -m tests.audit``: the lock files against the advisories that the repository carries.

Nothing is asked of the network. An old list of advisories is a warning, not a failure.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
ADVISORIES = Path(__file__).with_name("advisories.yaml")
LOCKED = re.compile(r"^([\w.-]+)==([\w.!+-]+)", re.MULTILINE)
STALE = 180  # days


def locked() -> dict[str, str]:
    """Return package → version of all lock files."""
    files = sorted(ROOT.glob("requirements*.lock"))
    return dict(pair for file in files for pair in LOCKED.findall(file.read_text("utf-8")))


def affected(versions: dict[str, str], advisories: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each version that an advisory names."""
    for each in advisories:
        version = versions.get(each["package"])
        if version and SpecifierSet(each["affected"]).contains(version, prereleases=True):
            yield f"{each['package']} {version}: {each['id']}: {each['about']} ({each['affected']})"


def main() -> int:
    """Print what is wrong; return 1 where a version is affected."""
    known = yaml.safe_load(ADVISORIES.read_text("utf-8"))
    days = (date.today() - known["as_of"]).days
    if days > STALE:
        sys.stdout.write(f"warning: {ADVISORIES.name} is {days} days old; bring it up to date\n")
    found = list(affected(locked(), known["advisories"]))
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.stdout.write(f"{len(locked())} packages, {len(found)} affected\n")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
