"""Whether the report is still that of the store, and having it written if it is not.

The analysis runs as a process of its own: this half never imports it. A stamp beside the report
holds the digest of everything that the report shows.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ablation_lab.study.declaration import declared_text
from ablation_lab.study.declare import Declared, declaration_of

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("report", "statistics", "store", "study")  # whose code decides what a report shows
STAMP = ".stamp.json"

# Study → key → (MLflow run id, status).
Stored = Mapping[str, Mapping[str, tuple[str, str]]]


class Report:
    """The report folder of one profile."""

    def __init__(
        self,
        store: str,
        profile: str,
        reports: Path,
        *,
        references: str = "",
        conf: Path | None = None,
    ) -> None:
        self.store = store
        self.conf = conf
        self.references = references
        self.profile = profile
        self.folder = reports / profile
        self.index = self.folder / "index.html"

    def is_current(self, declared: list[Declared], stored: Stored) -> bool:
        """Whether the report shows exactly these studies and runs, written by this code."""
        shown = self._stamps()
        return self.index.exists() and all(
            shown.get(entry.study.name) == self._digest(entry, stored) for entry in declared
        )

    def write(self, declared: list[Declared], stored: Stored) -> bool:
        """Write the report of these studies; return whether it worked."""
        stamps = self._stamps()
        names = [entry.study.name for entry in declared]
        command = [sys.executable, "-m", "ablation_lab.report", "--publish"]
        command += ["--profile", self.profile, "--reports", str(self.folder.parent)]
        command += ["--conf", str(self.conf)] if self.conf else []
        # By the environment, where other users of the machine do not see a password.
        environment = os.environ | {"MLFLOW_TRACKING_URI": self.store}
        done = subprocess.run([*command, "--studies", *names], env=environment, check=False)
        if done.returncode != 0:
            return False
        stamps |= {entry.study.name: self._digest(entry, stored) for entry in declared}
        text = json.dumps(stamps, sort_keys=True, indent=1)
        (self.folder / STAMP).write_text(text, encoding="utf-8")
        return True

    def _stamps(self) -> dict[str, str]:
        """Return study → digest of what the report shows of it."""
        stamp = self.folder / STAMP
        if not stamp.exists():
            return {}
        try:
            stamps = json.loads(stamp.read_text(encoding="utf-8"))
        except ValueError:  # damaged, so that nobody knows what the report shows
            return {}
        return stamps if isinstance(stamps, dict) else {}

    def _digest(self, entry: Declared, stored: Stored) -> str:
        digest = hashlib.sha256(self.store.encode())
        digest.update(self.references.encode())
        digest.update(declared_text(declaration_of(entry, {})).encode())
        digest.update(json.dumps(sorted(stored[entry.study.name].items())).encode())
        for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*")):
            if path.suffix in (".py", ".j2", ".css", ".js", ".typ"):
                digest.update(path.read_bytes())
        return digest.hexdigest()
