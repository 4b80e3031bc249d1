"""T4: activation, initialisation, depth, dropout and learning rate, all combined.

Main effects and interactions on 784-256-256-10.

Comes in: the runs of ``factorial``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("factorial", "effects"),
        ("factorial", "main"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t04_factorial", text))
