"""``python -m tests.sbom``: what this environment holds, as a CycloneDX 1.6 bill of materials."""

from __future__ import annotations

import json
import sys
from importlib.metadata import Distribution, distributions
from typing import Any


def component(found: Distribution) -> dict[str, Any]:
    """Return one package as CycloneDX names it."""
    said = found.metadata
    name, version = said["Name"], found.version
    licence = said.get("License-Expression") or said.get("License") or ""
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
        "licenses": [{"license": {"name": " ".join(licence.split())[:80]}}] if licence else [],
    }


def bill() -> dict[str, Any]:
    """Return the bill of all packages of this environment, by name."""
    found = {each.metadata["Name"].lower(): each for each in distributions()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [component(found[name]) for name in sorted(found)],
    }


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, indent=1)
