"""A user's text is literal text in every target: nothing in it is markup, and nothing runs."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from matplotlib.text import Text

from ablation_lab.report.canvas import figure_of, fit
from ablation_lab.report.figures import figures_for
from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study, load
from ablation_lab.report.tabular import Entry, Notes, Table, comma_separated, latex, markdown
from ablation_lab.report.text import csv as csv_field
from ablation_lab.report.text import csv_frame, file_name, is_number, plain
from tests.report.golden_store import Writer, accuracy, declaration, grid

HOSTILE = (
    r"$\lambda=0.1$", "cost $5_$", r"$\unknown{x}$", "x^2_i", "<script>alert(1)</script>", "</td>",
    "&lt;b&gt;", "#set page(width: 1cm)", "@ref", "*bold*", "_it_", "`code`", "a|b", "[x](y)",
    "![x](y)", "<https://x.y>", "https://x.y/z_z", "\\", r"\input{x}", r"\\", "100 % of it", "{}",
    "}{", "{{ 7 * 7 }}", "{% if %}", "${oc.env:HOME}", "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1",
    "＝1", "--flag", "- item", "1. item", "# head", "[64, 64]", "*", "a -- b", "``q''", "?`", '"q"',
    "~", "a\nb", "a\r\nb", "\x00", "\x1b[31m", "\u202eabc", "a\u2028b", "\ufffe",
    "😀", "👩‍🔬", "שלום",
    "مرحبا", "λ η₀", "깊이", "_hidden", "..", "a/b", "C:\\x", "CON", "é “q” n²", "-0.5",
    "1e-4", "nan",
)  # fmt: skip
FACTORS = {
    "level $x_i$": [" ".join(HOSTILE[i::8]) for i in range(8)], "a/b\\c": ["1", "2", "5"],
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:Glyph .* missing from")


def table(text: str) -> Table:
    return Table.of(
        "t", text, caption=text, header=((text, text), (text, "second")),
        rows=[(text, Entry("1", notes=(1,), bold=True)), (Entry(text, reference=text), text)],
        notes=Notes([text]),
    )  # fmt: skip


def shown(text: str) -> str:
    """What a reader sees of a text where white space is not told apart."""
    return " ".join(plain(text).split())


class Words(HTMLParser):
    """The words of a page, with the tags that a table is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.cell:
            self.rows[-1][-1] += data


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_markdown_table_shows_its_text_and_keeps_its_columns(text: str) -> None:
    page = Words(MarkdownIt("commonmark").enable("table").render(markdown(table(text))))
    assert page.tags <= {"p", "strong", "table", "thead", "tbody", "tr", "th", "td", "br"}
    rows = [[" ".join(cell.split()) for cell in row] for row in page.rows]
    assert rows[1:] == [[shown(text), "1 [1]"], [f"{shown(text)}; {shown(text)}", shown(text)]]
    assert shown(text) in " ".join("".join(page.words).split())


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_csv_table_reads_back_and_no_field_is_a_formula(text: str) -> None:
    written = comma_separated(table(text))
    head, *rows = csv.reader(io.StringIO(written))
    assert {len(row) for row in (head, *rows)} == {3}
    fields = [head[0], *rows[0][:1], *rows[1][1:2]]
    assert all(shown(text) in field for field in fields)
    for field in (field for row in (head, *rows) for field in row):
        assert is_number(field) or not field.lstrip().startswith(tuple("=+-@＝"))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("-0.5", "-0.5"), ("+1e3", "+1e3"), ("-inf", "-inf"), ("=1", "'=1"), ("-1+1", "'-1+1"),
        ("\r=1", "' =1"), ("relu", "relu"), ("97.9 ± 0.2", "97.9 ± 0.2"),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_is_quoted_unless_it_is_a_number(
    text: str, field: str
) -> None:
    assert csv_field(text) == field


def test_a_frame_keeps_its_numbers_and_quotes_its_names() -> None:
    levels = pd.Categorical(["=a", "b"], categories=["=a", "b"])
    frame = pd.DataFrame({"=x": levels, "y": [-1.5, np.nan], "cell": ["@a", None]})
    made = csv_frame(frame)
    assert list(made.columns) == ["'=x", "y", "cell"]
    assert list(made["'=x"]) == ["'=a", "b"]
    assert made["y"].equals(frame["y"])
    assert made["cell"].isna().tolist() == [False, True]


LONG = ("x" * 300, "깊이 " * 90, "깊이 " * 90 + "x")


@pytest.mark.parametrize("text", [*HOSTILE, *LONG], ids=ascii)
def test_a_name_is_one_file_within_its_folder(text: str, tmp_path: Path) -> None:
    path = tmp_path / file_name(text)
    path.write_text("x", encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.parent == tmp_path


def test_different_texts_have_different_files() -> None:
    every = {plain(text) for text in (*HOSTILE, *LONG)}
    assert len({file_name(text) for text in (*HOSTILE, *LONG)}) == len(every)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_every_hostile_table_compiles_where_it_is_read_by_input(tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        (tmp_path / f"t{number}.tex").write_text(latex(table(text)), encoding="utf-8")
    inputs = "\n".join(rf"\input{{t{number}}}\clearpage" for number, _ in enumerate(HOSTILE))
    packages = r"\usepackage[T1]{fontenc}\usepackage{booktabs}"
    (tmp_path / "main.tex").write_text(
        rf"\documentclass{{article}}{packages}\begin{{document}}{inputs}\listoftables\end{{document}}",
        encoding="utf-8",
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for _ in range(2):  # the second time, captions are read back from files
        result = subprocess.run(
            command, cwd=tmp_path, capture_output=True, timeout=120, check=False
        )
        assert result.returncode == 0, result.stdout.decode(errors="replace")[-2000:]


@pytest.fixture(scope="module")
def hostile(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose title, question, factors, levels, cells and metric are all hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copy(template, folder / "mlflow.db")
    writer = Writer(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    made = declaration(
        "hostile #1 ü", "quick", factors=FACTORS, cells=grid(FACTORS), replicates=1,
        metric="test_accuracy", title=" ".join(HOSTILE), question=" ".join(HOSTILE),
        source=r"\input{x} $x$", setup=" ".join(HOSTILE),
    )  # fmt: skip
    made["metrics"][0]["label"] = r"=a_b $\unknown{x}$"
    for factor in made["factors"]:
        factor["label"] = rf"{factor['name']} $\frac{{1}}$"
    writer.declare(made)
    for position, cell in enumerate(made["cells"]):
        writer.run(made, cell["cell"], 0, metrics=accuracy(0.5 + 0.001 * position))
    return load(writer.uri, "quick")[0]


def test_a_report_of_hostile_names_is_written_and_every_file_is_well_formed(
    hostile: Study, tmp_path: Path
) -> None:
    index = write_report([hostile], profile="quick", reports=tmp_path)
    folder = index.parent / hostile.name
    page = Words(index.read_text(encoding="utf-8"))
    shown_words = " ".join("".join(page.words).split())
    for text in HOSTILE:
        assert shown(text) in shown_words
    drawings = sorted(folder.glob("figure_*.svg"))
    assert len(drawings) >= 2
    for path in drawings:
        ElementTree.parse(path)
    assert (index.parent / "paper.pdf").read_bytes().startswith(b"%PDF")
    runs = pd.read_csv(folder / "runs.csv")
    assert len(runs) == len(hostile.frame)
    assert len(pd.read_csv(folder / "cells.csv")) == len(hostile.cells)


def test_a_dollar_sign_of_a_figure_is_no_formula(hostile: Study) -> None:
    for draw in figures_for(hostile).values():
        figure = figure_of(draw(hostile))
        fit(figure)
        figure.draw_without_rendering()
        dollars = [text for text in figure.findobj(Text) if "$" in text.get_text()]
        assert dollars
        assert not any(text.get_parse_math() for text in dollars)
