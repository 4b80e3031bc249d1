"""T11: shapes and numbers of parameters, computed and counted.

Comes in: the runs of ``computed``, ``ladder``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("computed", "checks"),
        ("ladder", "parameters"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t11_shapes", text))
