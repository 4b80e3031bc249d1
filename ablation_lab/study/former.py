"""Keys of YAML that have another name today: refused where written, read in what is stored.

Comes in: a key of a section as it was called. Goes out: what to write instead, or, for the
configuration of a stored run, the configuration in today's words. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Former:
    """A key that is called ``now``; where ``value`` is not None, ``instead`` stands for it."""

    section: str
    key: str
    now: str
    value: str | None = None
    instead: bool | str | None = None

    @property
    def today(self) -> str:
        """What to write: the key, or ``key: value`` where the value has another name too."""
        value = str(self.instead).lower()
        return repr(self.now) if self.value is None else f"'{self.now}: {value}'"

    @property
    def refusal(self) -> str:
        """Say in a sentence what to write."""
        was = f"key {self.key!r}" if self.value is None else f"'{self.key}: {self.value}'"
        return f"{was} is called {self.today} now; rename it"


FORMER = (
    Former("profiles", "set", "overrides"),
    Former("profiles", "adjust", "adjustments"),
    Former("adjustments", "set", "overrides"),
    Former("references", "claims", "values"),
    Former("training", "observe", "probe"),
    Former("training", "ask", "predict_at"),
    Former("training", "divide_rate_at", "lr_milestones"),
    Former("training", "order", "shuffle", "stored", False),
    Former("training", "remainder", "drop_last", "keep", False),
    Former("training", "loss", "loss", "printed", "unclipped"),
)


def former(section: str, key: str, value: object = None) -> Former | None:
    """Return what became of a key, or of a value of one that is called as before."""
    return next((each for each in FORMER if _is(each, section, key, value)), None)


def of_today(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a stored run with the words of today."""
    return {
        section: dict(_renamed(section, key, value) for key, value in settings.items())
        for section, settings in config.items()
    }


def _is(each: Former, section: str, key: str, value: object) -> bool:
    same = (each.section, each.key) == (section, key)
    return same and (each.key != each.now or value == each.value)


def _renamed(section: str, key: str, value: Any) -> tuple[str, Any]:
    found = former(section, key, value)
    if found is None:
        return key, value
    return found.now, value if found.value is None else found.instead
