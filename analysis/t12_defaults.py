"""T12: the defaults of the frameworks side by side, on one network.

Comes in: the runs of ``frameworks``, ``stock``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("frameworks", "main"),
        ("frameworks", "comparisons"),
        ("stock", "main"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t12_defaults", text))
