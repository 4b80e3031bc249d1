"""The numbers of a report in a text of one's own, and the guard that says which are stale."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import typst
from hypothesis import given
from hypothesis import strategies as st

from ablation_lab.cli import main
from ablation_lab.report.manuscript import MARKDOWN, TEX, TYPST, is_current
from ablation_lab.report.numbers import (
    Number,
    name_of,
    numbers_of,
    write_all_numbers,
    write_numbers,
)
from ablation_lab.report.reference_values import answers
from ablation_lab.report.study import Study
from tests.report.test_text import HOSTILE

Printed = pytest.CaptureFixture[str]
ESTIMATE, WORD = "s/a=x,b=0.5/estimate", "s/a=x,b=0.5 - a=y,b=0.5/verdict"
NUMBERS = {
    ESTIMATE: Number("97.3", 97.3149),
    "s/a=x,b=0.5/n": Number("1000", 1000.0),
    "s/a=x,b=0.5 - a=y,b=0.5/p": Number("< 0.001", 0.0001),
    WORD: Number("needs n ≥ 6"),
}


def report(project: Path, numbers: dict[str, Number] = NUMBERS, profile: str = "quick") -> Path:
    """Write what a report has of numbers into a project, which has nothing else."""
    (project / "conf" / "study").mkdir(parents=True, exist_ok=True)
    folder = project / "reports" / profile
    (folder / "s").mkdir(parents=True, exist_ok=True)
    write_numbers(numbers, folder / "s")
    write_all_numbers([], folder, profile=profile)
    return folder


def lines(printed: Printed, project: Path, *files: str, status: int) -> list[str]:
    """What the guard says of files, one of the project's at least."""
    assert main(["check", "--project", str(project), *files]) == status
    out, err = printed.readouterr()
    assert (err == "") is (status < 2)
    return (out + err).splitlines()


@given(st.lists(st.text(), min_size=2, max_size=2, unique_by=lambda one: " ".join(one.split())))
def test_names_are_told_apart_and_every_format_finds_them(levels: Sequence[str]) -> None:
    names = [name_of("study", f"factor={level}", "estimate") for level in levels]
    for name in names:
        assert name.count("/") == 2
        for syntax, text in (
            (TEX, rf"\lab{{{name}}}"),
            (TEX, rf"\labvalue{{{name}}}{{9{{,}}3}}"),
            (TYPST, f'#lab("{name}")'),
            (TYPST, f'#labvalue("{name}")[93]'),
            (MARKDOWN, f'[93]{{.number lab="{name}"}}'),
        ):
            assert [found["name"] for found in syntax.use.finditer(text)] == [name]
    plain = [all(" " <= letter <= "~" for letter in level) for level in levels]
    assert not all(plain) or names[0] != names[1]


def test_numbers_are_those_of_the_tables_and_of_every_study_in_the_folder(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    for name in ("keep_prob", "ladder"):
        (tmp_path / name).mkdir()
        write_numbers(numbers_of(studies[name]), tmp_path / name)
    write_all_numbers(answers(studies.values()), tmp_path, profile="quick")
    known = json.loads((tmp_path / "lab.json").read_text(encoding="utf-8"))
    assert known["profile"]["text"] == "quick"
    study = studies["keep_prob"]
    row = study.cells.iloc[0]
    found = known[f"keep_prob/{row['cell']}/estimate"]
    assert found["value"] == 100 * row["estimate"]
    assert found["text"] == f"{found['value']:.1f}"
    first = study.comparisons[0]
    contrast = f"{first.first.cell} - {first.second.cell}"
    verdict = known[name_of("keep_prob", contrast, "verdict")]
    assert (verdict["text"], verdict["value"]) == (first.verdict, None)
    difference = known[name_of("keep_prob", contrast, "difference")]
    assert difference["value"] == 100 * first.difference.estimate
    assert {name.partition("/")[0] for name in known} == {
        "profile", "values", "keep_prob", "ladder"
    }  # fmt: skip
    assert any(name.startswith("values/") and name.endswith("/printed") for name in known)


@pytest.mark.parametrize(
    ("written", "is_right"),
    [
        *((text, True) for text in ("97.3", "97", "97.31", r"97.3\,\%", "$97.3$", "**97.3**")),
        *((text, False) for text in ("97.4", "98", "97.32", "about 97", "", "nan", "9.7")),
    ],
)
def test_a_number_is_right_to_the_digits_that_it_has(written: str, is_right: bool) -> None:
    assert is_current(written, NUMBERS[ESTIMATE]) is is_right


def test_signs_thousands_and_words_are_read_as_people_write_them() -> None:
    loss = Number("-0.0029", -0.002906)
    assert is_current("−0.003", loss)
    assert is_current("-0.003", loss)
    assert not is_current("0.003", loss)
    assert is_current("+1.5", Number("+1.5", 1.52))
    assert is_current("1,000", NUMBERS["s/a=x,b=0.5/n"])
    assert is_current("1{,}000", NUMBERS["s/a=x,b=0.5/n"])
    p = Number("< 0.001", 0.0001)
    assert is_current(r"$< 0.001$", p)
    assert is_current(r"\textless{} 0.001", p)
    assert not is_current("0.001", p)
    assert is_current(r"needs n $\geq$ 6", NUMBERS[WORD])
    assert not is_current("better", NUMBERS[WORD])


TEXTS = {
    "paper.tex": r"""% \lab{not/a/number}
\input{parts/part} \label{x} 5\% \lab{NAME} and
\labvalue{s/a=x,b=0.5/n}{WRITTEN}
\begin{verbatim}\lab{shown}\end{verbatim} \newcommand\mine[1]{\lab{s/#1/estimate}}
""",
    "paper.typ": """// #lab("not/a/number")
#include "parts/part.typ" /* #lab("a") */ #lab("NAME") and
#labvalue("s/a=x,b=0.5/n", "WRITTEN") `#lab("shown")` https://a.b
""",
    "paper.md": """<!-- [1]{lab="no"} -->
{{< include parts/part.qmd >}} [97]{lab="NAME"} and
[WRITTEN]{.x lab="s/a=x,b=0.5/n"} `[1]{lab="a"}`
```
[1]{lab="shown"}
```
""",
}
PARTS = {
    "part.tex": "\\input{paper}\n\\labvalue{NAME}{97}\n",
    "part.typ": '\n#labvalue("NAME")[97]\n',
    "part.qmd": '\n[97]{lab="NAME"}\n',
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_stale_is_told_with_its_place_in_every_format(
    name: str, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    for part, text in PARTS.items():
        (tmp_path / "parts" / part).write_text(text.replace("NAME", ESTIMATE))
    text = TEXTS[name].replace("NAME", ESTIMATE)
    (tmp_path / name).write_text(text.replace("WRITTEN", "1000"))
    said = lines(capsys, tmp_path, name, status=0)
    assert said == ["3 numbers in 2 files, against profile quick: all current"]

    (tmp_path / name).write_text(text.replace("WRITTEN", "999"))
    report(tmp_path, {**NUMBERS, ESTIMATE: Number("98.0", 98.04)})
    *stale, last = lines(capsys, tmp_path, name, status=1)
    moved = [place for place, what, *_ in (line.split(": ") for line in stale) if what == ESTIMATE]
    # What is only named is set anew with the report, and so is never stale here.
    assert set(moved) == {f"parts/part.{name[6:].replace('md', 'qmd')}:2"} | (
        {"paper.md:2"} if name == "paper.md" else set()
    )
    assert f"{name}:3: s/a=x,b=0.5/n: written 999, now 1000" in stale
    assert last.endswith(f": {len(stale)} stale")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("paper.tex", "\\input{lab}\n\\lab{%s}\n"),
        ("paper.typ", '#import "lab.typ": lab\n#lab("%s")\n'),
    ],
)
def test_a_copy_of_the_numbers_goes_stale(
    name: str, text: str, tmp_path: Path, capsys: Printed
) -> None:
    folder = report(tmp_path, profile="paper")
    own = tmp_path / "own"
    own.mkdir()
    for path in folder.glob("lab.*"):
        shutil.copy(path, own)
    (own / name).write_text(text % ESTIMATE)
    (said,) = lines(capsys, tmp_path, str(own / name), status=0)
    assert said.endswith("against profile paper: all current")
    report(tmp_path, {**NUMBERS, ESTIMATE: Number("98.0", 98.04)}, profile="paper")
    stale, _ = lines(capsys, tmp_path, str(own / name), status=1)
    assert stale == f"{own / name}:2: {ESTIMATE}: written 97.3, now 98.0"
    (own / name).write_text(text % "s/new/n")
    report(tmp_path, {**NUMBERS, "s/new/n": Number("5", 5.0)}, profile="paper")
    stale, _ = lines(capsys, tmp_path, str(own / name), status=1)
    assert stale.endswith("s/new/n: written nothing, now 5")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "expected a file, as in `ablation check paper.tex`"),
        (["paper.docx"], "paper.docx: expected a manuscript in one of .tex, .typ, .md"),
        (["lost.tex"], "lost.tex: cannot be read"),
        (["paper.md"], "paper.md:1: the report has no number 's/a=x/estimate'; nearest: "),
        (["paper.md", "profile=smoke"], "lab.json: no report with numbers; `ablation report"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    files: list[str], said: str, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper.md").write_text('[97.3]{lab="s/a=x/estimate"}')
    (line,) = lines(capsys, tmp_path, *files, status=2)
    assert line.startswith("error: ")
    assert said in line


def hostile() -> dict[str, Number]:
    """Numbers whose names and words are whatever a user may write, told apart by their ends."""
    return {
        name_of("s", f"level={text} {i}", "estimate"): Number(f"{text} {i}", float(i))
        for i, text in enumerate(HOSTILE)
    }


def test_typst_sets_every_number(tmp_path: Path) -> None:
    folder = report(tmp_path, hostile())
    known = json.loads((folder / "lab.json").read_text(encoding="utf-8"))
    assert len(known) == len(HOSTILE) + 1
    asked = [
        f'#assert.eq(lab("{name}"), {json.dumps(found["text"], ensure_ascii=False)})'
        for name, found in known.items()
        if "\\" not in found["text"]
    ]
    text = '#import "lab.typ": lab, labvalue\n#labvalue("a", "1")\n' + "\n".join(asked)
    assert typst.compile(text.encode(), root=folder, format="pdf")
    with pytest.raises(typst.TypstError, match="the report has no number"):
        typst.compile(b'#import "lab.typ": lab\n#lab("s/none")', root=folder, format="pdf")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_latex_sets_every_number(tmp_path: Path) -> None:
    numbers = {name: Number(f"({i})") for i, name in enumerate(hostile())}
    folder = report(tmp_path, numbers | {"s/words/text": Number(" ".join(HOSTILE))})
    typed = [rf"\typeout{{<{i}=\lab{{{name}}}>}} \lab{{{name}}}" for i, name in enumerate(numbers)]
    text = "\n".join([
        r"\documentclass{article}\usepackage[utf8]{inputenc}\usepackage[T1]{fontenc}",
        r"\input{lab}\input{lab}\begin{document}",
        r"\catcode`\:=13 \def:{\errmessage{what languages make of it}}",
        *typed, r"\section{Of \lab{s/words/text}} \labvalue{a}{1}", r"\end{document}",
    ])  # fmt: skip
    (folder / "main.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert all(f"<{i}=({i})>" in done.stdout for i in range(len(numbers)))
