r"""The guard of a manuscript: which numbers in it are no longer those of the report.

In: files that a person writes, in LaTeX, Typst or Markdown, and the report's `lab.json`. Out: a
line for each number that is stale. A number is used by its name, as `\lab{study/cell/estimate}`
does; or it is written, and says its name: `\labvalue{name}{97.3}`, `[97.3]{lab="name"}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path

from ablation_lab.errors import ConfigurationError
from ablation_lab.output import say
from ablation_lab.report.numbers import FILE, PROFILE, Number, Numbers, read_numbers
from ablation_lab.report.text import latex
from ablation_lab.study.project import Project

QUICK = "quick"  # the profile of a call that names none


@dataclass(frozen=True)
class Syntax:
    """How a format says what the guard looks for; what is `unread` no reader of it sees.

    A use has the group `name`, and `written` where the number stands in the text, or `given` where
    the name is given its number.
    """

    unread: re.Pattern[str]
    include: re.Pattern[str]
    use: re.Pattern[str]


TEX = Syntax(
    unread=re.compile(
        r"(?s)\\begin\{(verbatim|lstlisting|comment)\*?\}.*?\\end\{\1|\\verb\*?(\W).*?\2"
        r"|(?<!\\)(?:\\\\)*%[^\n]*"
    ),
    include=re.compile(r"\\(?:input|include|subfile)\s*\{(?P<file>[^{}]+)\}"),
    use=re.compile(
        r"\\lab(?:(?P<value>value)|(?P<set>set))?\s*\{(?P<name>[^{}]*)\}"
        r"(?(value)\s*\{(?P<written>(?:[^{}]|\{[^{}]*\})*)\})(?(set)\{(?P<given>.*)\}\n)"
    ),
)
TYPST = Syntax(
    unread=re.compile(r"(?s)/\*.*?\*/|(?<!:)//[^\n]*|(`+).*?\1"),
    include=re.compile(r'\b(?:include|import|json)\b\s*\(?\s*"(?P<file>[^"@]+)"'),
    use=re.compile(
        r'\blab(?P<value>value)?\(\s*"(?P<name>[^"]*)"'
        r'(?(value)[\s,)]*["\[](?P<written>[^"\]]*)["\]])'
    ),
)
MARKDOWN = Syntax(
    unread=re.compile(r"(?s)<!--.*?-->|(?m:^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\1)|(`+).*?\2"),
    include=re.compile(r"\{\{<\s*include\s+(?P<file>\S+)\s*>\}\}"),
    use=re.compile(r'\[(?P<written>[^\[\]]*)\]\{[^{}]*?\blab="(?P<name>[^"]*)"[^{}]*\}'),
)
SYNTAXES = {".tex": TEX, ".typ": TYPST, ".md": MARKDOWN, ".qmd": MARKDOWN, ".rmd": MARKDOWN}
# What of a written number is markup, or the white space that belongs to it.
MARKUP = re.compile(r"\\[,;!]|[\s$~{}*_%\\]")


@dataclass(frozen=True)
class Use:
    """A place of a manuscript that rests on a number; `written` is none where only its name is."""

    place: str
    name: str
    written: str | None


@dataclass
class Manuscript:
    """What was read of a manuscript: its files, its uses, and the numbers that it is set with."""

    files: list[Path] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)

    def read(self, path: Path, roots: Sequence[Path]) -> None:
        """Add a file and whatever it includes; names of files are relative to it or to a root."""
        path = path.resolve()
        if path in self.files:
            return
        self.files.append(path)
        if path.name == FILE:
            self.given |= {name: found.text for name, found in read_numbers(path).items()}
        elif syntax := SYNTAXES.get(path.suffix.lower()):
            text = path.read_text(encoding="utf-8", errors="replace")
            self._read_text(syntax.unread.sub(_blank, text), syntax, path, roots)

    def _read_text(self, text: str, syntax: Syntax, path: Path, roots: Sequence[Path]) -> None:
        for found in syntax.use.finditer(text):
            groups = found.groupdict()
            name, given = " ".join(groups["name"].split()), groups.get("given")
            if given is not None:
                self.given[name] = given
            elif "#" not in name:  # else a macro of the manuscript's own, about any number
                line = text.count("\n", 0, found.start()) + 1
                self.uses.append(Use(f"{_shown(path)}:{line}", name, groups.get("written")))
        for found in syntax.include.finditer(text):
            included = _file(found["file"].strip(), (path.parent, *roots))
            if included is not None:
                self.read(included, roots)


def _blank(found: re.Match[str]) -> str:
    """As many lines of nothing."""
    return re.sub(r"[^\n]", " ", found[0])


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _file(name: str, folders: Iterable[Path]) -> Path | None:
    """The file that is included, none where it is not there; Typst's root is a folder of these."""
    names = (name, f"{name}.tex", name.lstrip("/"))
    tries = [folder / each for folder in folders for each in names]
    return next((path for path in tries if path.is_file()), None)


def read_manuscript(files: Sequence[Path], project: Path) -> Manuscript:
    """Read files and what they include. ConfigurationError for one that cannot be read."""
    if not files:
        raise ConfigurationError("command line: expected a file, as in `ablation check paper.tex`")
    found = Manuscript()
    for path in files:
        if path.suffix.lower() not in SYNTAXES:
            known = ", ".join(SYNTAXES)
            raise ConfigurationError(f"{path}: expected a manuscript in one of {known}")
        try:
            found.read(path, (path.resolve().parent, project))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    return found


def check(files: Sequence[Path], project: Project, given: Mapping[str, str]) -> int:
    """Say which numbers of a manuscript are stale; 1 where there is one, else 0.

    The report is that of the profile that is given, else of the one whose numbers the manuscript is
    set with, else of the project's own.

    Errors: ConfigurationError without a report, or for a name that it does not have.
    """
    manuscript = read_manuscript(files, project.folder)
    settings = {"reports": "reports", "profile": QUICK, **project.settings, **given}
    profile = given.get("profile") or manuscript.given.get(PROFILE) or settings["profile"]
    now = _current(project.folder / settings["reports"] / profile / FILE, profile)
    if unknown := [use for use in manuscript.uses if use.name not in now]:
        raise ConfigurationError("; ".join(_unknown(use, now) for use in unknown))
    stale = list(_stale(manuscript, now))
    for line in stale:
        say(line)
    say(
        f"{len(manuscript.uses)} numbers in {len(manuscript.files)} files, against profile "
        f"{profile}: {f'{len(stale)} stale' if stale else 'all current'}"
    )
    return 1 if stale else 0


def _current(path: Path, profile: str) -> Numbers:
    try:
        return read_numbers(path)
    except (OSError, ValueError):
        raise ConfigurationError(
            f"{path}: no report with numbers; `ablation report profile={profile}` writes it"
        ) from None


def _unknown(use: Use, now: Numbers) -> str:
    study = use.name.partition("/")[0] + "/"
    known = [name for name in now if name.startswith(study)] or list(now)
    close = get_close_matches(use.name, known, n=1)
    hint = f"; nearest: {close[0]!r}" if close else ""
    return f"{use.place}: the report has no number {use.name!r}{hint}"


def _stale(manuscript: Manuscript, now: Numbers) -> Iterator[str]:
    for use in manuscript.uses:
        found = now[use.name]
        written = use.written
        if written is None and manuscript.given:
            written = manuscript.given.get(use.name, "nothing")
        if written is not None and not is_current(written, found):
            shown = " ".join(written.split())
            yield f"{use.place}: {use.name}: written {shown}, now {found.text}"


def is_current(written: str, now: Number) -> bool:
    """Whether a text says the number: as the report does, or rounded to the digits it has."""
    said = _bare(written)
    if written == latex(now.text) or said == _bare(now.text):
        return True
    try:
        digits = Decimal(said.replace("−", "-").replace("–", "-").replace(",", ""))
        return now.value is not None and Decimal(now.value).quantize(digits) == digits
    except InvalidOperation:
        return False


def _bare(text: str) -> str:
    """A text without its markup and white space."""
    return MARKUP.sub("", text.replace(r"\textless", "<"))
