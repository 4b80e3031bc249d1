"""A font for Korean texts, where one is installed.

In: texts. Out: whether they need it, and its file. DejaVu and Libertinus, which come with the
libraries, have no Hangul, and a font of several megabytes is not carried along: the Python package
koreanize-matplotlib and Debian's fonts-nanum hold the same Nanum Gothic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

FAMILY = "NanumGothic"
PACKAGE = "koreanize_matplotlib"
FOLDERS = (
    Path("/usr/share/fonts/truetype/nanum"),
    Path.home() / ".local/share/fonts",
    Path.home() / "Library/Fonts",
    Path("/Library/Fonts"),
)
HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")


def needs_korean(texts: Iterable[str]) -> bool:
    """Whether any text has a Korean letter."""
    return any(HANGUL.search(text) for text in texts)


@cache
def korean_font() -> Path | None:
    """The file of Nanum Gothic, None where it is not installed."""
    found = [folder / f"{FAMILY}.ttf" for folder in (*_packaged(), *FOLDERS)]
    return next((path for path in found if path.is_file()), None)


def _packaged() -> tuple[Path, ...]:
    """The folder of the package's fonts; the package itself is not imported."""
    spec = find_spec(PACKAGE)
    return (Path(spec.origin).parent / "fonts",) if spec and spec.origin else ()
