"""Whether the report is still that of the store, and having it written if it is not.

The analysis runs as a process of its own: this half never imports it. A stamp beside the report
holds the digest of everything that the report shows.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from experiments.declare import Declared, declaration_json

ROOT = Path(__file__).resolve().parent.parent
STAMP = ".stamp"


class Report:
    """The report folder of one profile."""

    def __init__(self, store: str, profile: str, reports: Path) -> None:
        self.store = store
        self.profile = profile
        self.folder = reports / profile
        self.index = self.folder / "index.html"

    def is_current(
        self,
        declared: list[Declared],
        stored: Mapping[str, Mapping[str, tuple[str, str]]],
    ) -> bool:
        """Whether the report shows exactly these studies and runs, written by this code."""
        stamp = self.folder / STAMP
        if not stamp.exists() or not self.index.exists():
            return False
        return stamp.read_text(encoding="utf-8") == self._digest(declared, stored)

    def write(
        self,
        declared: list[Declared],
        stored: Mapping[str, Mapping[str, tuple[str, str]]],
    ) -> bool:
        """Have the analysis write the report; return whether it did."""
        command = [sys.executable, "-m", "analysis", "--store", self.store]
        command += ["--profile", self.profile, "--reports", str(self.folder.parent)]
        command += ["--publish", "--studies", *(entry.study.name for entry in declared)]
        if subprocess.run(command, check=False).returncode != 0:
            return False
        stamp = self.folder / STAMP
        stamp.write_text(self._digest(declared, stored), encoding="utf-8")
        return True

    def _digest(
        self,
        declared: list[Declared],
        stored: Mapping[str, Mapping[str, tuple[str, str]]],
    ) -> str:
        digest = hashlib.sha256(self.store.encode())
        for entry in declared:
            description = declaration_json(entry, {})
            digest.update(json.dumps(description, sort_keys=True).encode())
            digest.update(json.dumps(sorted(stored[entry.study.name].items())).encode())
        for path in sorted((ROOT / "analysis").rglob("*")):
            if path.suffix in (".py", ".j2", ".css", ".js", ".typ"):
                digest.update(path.read_bytes())
        return digest.hexdigest()
