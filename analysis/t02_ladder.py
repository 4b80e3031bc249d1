"""T2: the ladder of the lectures as it is printed, and every printed accuracy beside ours.

Its steps change several things at once: T3 and T4 stand beside it for what one choice is worth.

Comes in: the runs of ``ladder``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("ladder", "main"),
        ("ladder", "attribution"),
        (None, "accuracies"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t02_ladder", text))
