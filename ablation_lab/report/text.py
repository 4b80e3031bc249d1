"""A user's text as literal text: one escape for each target, and none anywhere else.

In: names, levels, titles, reasons, whatever they hold. Out: the same text for a table in Markdown,
LaTeX or CSV, for a page, for a paper, for a figure, for the name of a file. Nothing in it is markup
there, nothing runs, and no character can break a line, a column or a file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
# Control characters, those that turn the direction of what follows, and what no file can hold.
CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def plain(text: str) -> str:
    """One line of text that any format can hold; a control character by its number."""
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], BREAKS.sub(" ", text))


def plain_values(value: Any) -> Any:
    """Dataclasses, mappings and sequences as what JSON knows, every text of them in plain.

    A number that is not finite, which JSON cannot say, is none.
    """
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list | tuple):
        return [plain_values(each) for each in value]
    if isinstance(value, dict):
        return {name: plain_values(each) for name, each in value.items()}
    if is_dataclass(value):
        return {each.name: plain_values(getattr(value, each.name)) for each in fields(value)}
    return None if isinstance(value, float) and not isfinite(value) else value


# An underscore within a word and a number with a fraction are not markup, and stay readable.
MARKDOWN = re.compile(
    r"[\\`*{}\[\]<>#|~$&@^]|(?<![^\W_])_|_(?![^\W_])|^[-+=](?=[-=\s]|$)|^\d+(?=[.)](?:\s|$))"
    r"|(?<=http)s?:|(?<=www)\."
)


def markdown(text: str) -> str:
    """Text as Markdown, also behind the beginning of a line."""
    return MARKDOWN.sub(lambda found: _md_escaped(found[0]), plain(text))


def _md_escaped(found: str) -> str:
    return f"{found}\\" if found.isdigit() else f"{found[:-1]}\\{found[-1]}"


LETTERS = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
GREEK = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ", LETTERS.split(), strict=True))
TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "–": "--", "—": "---", "·": r"$\cdot$", "−": "$-$", "<": r"\textless{}", ">": r"\textgreater{}",
    "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$", "∈": r"$\in$", "√": r"$\surd$", "∞": r"$\infty$",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "[": "{[}", "*": "{*}",  # behind the end of a row they would be its options
    **{letter: rf"$\{name}$" for letter, name in GREEK.items()},
}  # fmt: skip
LIGATURES = re.compile(r"[-`',](?=[-`',])|[?!](?=`)")
# What pdflatex has no letters for: other engines set it, there it stands by its numbers.
UNSET = re.compile(
    "[^ -~\xa0-\u0125\u0128-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u0165\u0168-\u017e"
    f"‘’“”„…†‡•‰€™{''.join(map(re.escape, TEX))}]+"
)


def latex(text: str) -> str:
    """Text as LaTeX, in a cell of a table, a caption or a paragraph."""
    apart = LIGATURES.sub(lambda found: f"{found[0]}\0", plain(text))
    return UNSET.sub(_unset, "".join(TEX.get(each, each) for each in apart))


def _unset(found: re.Match[str]) -> str:
    if found[0] == "\0":
        return "{}"
    numbers = " ".join(f"U+{ord(each):04X}" for each in found[0])
    return rf"\ifdefined\Umathchar {found[0]}\else ({numbers})\fi{{}}"


RUN = tuple("=+-@＝＋－＠")  # with what a formula begins


def csv(text: str) -> str:
    """Text as a field of CSV that no spreadsheet runs; a number stays as it is."""
    one = plain(text)
    return f"'{one}" if one.lstrip().startswith(RUN) and not is_number(one) else one


def csv_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with every text of it, its header too, as a field of CSV."""
    made = frame.rename(columns=csv)
    for name in made.select_dtypes(exclude=["number", "bool"]):
        made[name] = made[name].map(_csv_field)
    return made


def _csv_field(value: Any) -> Any:
    return csv(value) if isinstance(value, str) else value


def number_of(text: str) -> float | None:
    """The number that a text is; None where it is anything else."""
    try:
        return float(text.replace("−", "-").replace(",", ""))
    except ValueError:
        return None


def is_number(text: str) -> bool:
    """Whether a text is a number and nothing else."""
    return number_of(text) is not None


MOST_BYTES = 200  # of a file's name; file systems allow 255, and others put something before it


def file_name(text: str) -> str:
    """Text as the name of a file, or a part of it; what a name cannot hold by its number.

    One that is longer than file systems allow ends in its digest.
    """
    name = re.sub(r"^\.|[^\w.,=+-]", lambda found: f"~{ord(found[0]):x}", plain(text))
    if len(name.encode()) <= MOST_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name.encode()[: MOST_BYTES - 17].decode(errors='ignore')}-{digest}"


# DejaVu and Libertinus, which come with the libraries, have no Hangul, and a font of megabytes is
# not carried along: koreanize-matplotlib and Debian's fonts-nanum hold the same Nanum Gothic; Noto
# Sans CJK comes with most desktops.
FONTS = {"NanumGothic.ttf": "NanumGothic", "NotoSansCJK-Regular.ttc": "Noto Sans CJK KR"}
PACKAGE = "koreanize_matplotlib"
FOLDERS = (
    Path("/usr/share/fonts/truetype/nanum"),
    Path("/usr/share/fonts/opentype/noto"),
    Path("/usr/share/fonts/noto-cjk"),
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
    """The file of a font with Hangul, of `FONTS`; None where none is installed."""
    found = [folder / name for name in FONTS for folder in (*_packaged(), *FOLDERS)]
    return next((path for path in found if path.is_file()), None)


def _packaged() -> tuple[Path, ...]:
    """The folder of the package's fonts; the package itself is not imported."""
    spec = find_spec(PACKAGE)
    return (Path(spec.origin).parent / "fonts",) if spec and spec.origin else ()
