"""T5: initialisation by activation, in the layout of the LSUV table.

On an MLP; the convolutional network of the table needs an accelerator and is a study of its own.

Comes in: the runs of ``init_activation``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("init_activation", "main"),
        ("init_activation", "effects"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t05_init_activation", text))
