"""The papers: what stands where, in how many pages, and what a long study leaves to its files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typst

from ablation_lab.report.cross_study import Across
from ablation_lab.report.document import SENTENCES, Document, Section, document, section
from ablation_lab.report.files import write_study
from ablation_lab.report.paper import paper_values, typst_source, write_paper, write_references
from ablation_lab.report.report import TEMPLATES
from ablation_lab.report.sentences import Said
from ablation_lab.report.study import Study
from ablation_lab.report.works import works
from ablation_lab.store.pages import Server

HEADINGS = ["Question and set-up", "Results", "Limits", "Methods", "Provenance", "References"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("papers")


@pytest.fixture(scope="module")
def model(studies: dict[str, Study], folder: Path) -> Document:
    """The document about all studies, whose files lie in the folder."""
    chosen = list(studies.values())
    written = [(each, *write_study(each, folder / each.name)) for each in chosen]
    sections = [section(*each, server=Server("http://x")) for each in written]
    return document(chosen, sections, Across.over(chosen), profile="quick")


def of_one(model: Document, name: str, **changes: Any) -> Document:
    """The document about one study, changed."""
    (only,) = (each for each in model.studies if each.name == name)
    return replace(model, title=only.title, studies=(replace(only, **changes),))


def queried(model: Document, folder: Path, selector: str) -> list[dict[str, Any]]:
    """What the typesetter has of a document under a selector of its own."""
    source: Any = typst_source(TEMPLATES)
    values = {"paper": json.dumps(paper_values(model)), "korean": ""}
    found: list[dict[str, Any]] = json.loads(
        typst.query(source, selector, root=folder, sys_inputs=values)
    )
    return found


def pages(model: Document, folder: Path) -> int:
    """The number of the page on which the body ends, which is the last one where it is alone."""
    ((found),) = queried(model, folder, "<last-of-body>")
    return int(found["value"])


def words(content: Any) -> str:
    """The text of what was queried."""
    if isinstance(content, dict):
        return str(content.get("text", "")) or "".join(map(words, content.values()))
    return "".join(map(words, content)) if isinstance(content, list) else ""


def headings(model: Document, folder: Path) -> list[str]:
    return [words(each["body"]) for each in queried(model, folder, "heading")]


@pytest.mark.parametrize("name", ["xor_depth", "keep_prob", "ladder"])
def test_the_paper_of_a_study_is_short_and_whole(name: str, model: Document, folder: Path) -> None:
    alone = of_one(model, name)
    only = alone.studies[0]
    write_paper(alone, folder=folder, templates=TEMPLATES, name=name, before=None)
    content = (folder / f"{name}.pdf").read_bytes()
    assert all(mark in content for mark in (b"/StructTreeRoot", b"pdfuaid:part", b"/Lang"))
    assert 2 <= pages(alone, folder) <= 6
    assert headings(alone, folder)[:6] == HEADINGS
    said = json.dumps(queried(alone, folder, "<abstract>"), ensure_ascii=False)
    assert only.question in said
    assert only.finding in said
    (study,) = paper_values(alone)["studies"]
    assert study["headline"].startswith(study["short"].partition(" with ")[0])
    assert not re.search(r"\(.*\)|\.$", study["short"])
    shown = queried(alone, folder, "figure")
    assert [each["kind"] for each in shown].count("image") >= 1
    tables = [each.get("label") for each in shown if each["kind"] == "table"]
    assert tables[0] == f"<table-{name}-main>"
    assert f"<table-{name}-cells>" not in tables
    assert all(each["alt"] for each in queried(alone, folder, "image"))


def test_a_paper_is_set_again_only_where_it_would_be_another(
    model: Document, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, set_by = of_one(model, "ladder"), typst.compile
    write_paper(alone, folder=folder, templates=TEMPLATES, name="first", before=None)
    made = (folder / "first.pdf").read_bytes()
    (tmp_path / "first.pdf").write_bytes(made)
    figure = folder / alone.studies[0].pictures[0].file
    known = figure.read_text()
    times: list[Path] = []

    def counted(source: bytes, file: Path, **settings: Any) -> None:
        times.append(file)
        set_by(source, file, **settings)

    monkeypatch.setattr("typst.compile", counted)
    other = of_one(model, "ladder", said=(Said("Nothing was found"),))
    for changed, text, often in ((alone, known, 0), (other, known, 1), (alone, f"{known} ", 2)):
        figure.write_text(text)
        write_paper(changed, folder=folder, templates=TEMPLATES, name="first", before=tmp_path)
        assert len(times) == often
        assert ((folder / "first.pdf").read_bytes() == made) is (often == 0)
    figure.write_text(known)


def test_the_paper_of_all_tells_of_the_first_and_has_an_appendix_for_each(
    model: Document, folder: Path
) -> None:
    values = paper_values(model)
    for study in values["studies"]:
        places = {cell["cell"]: cell["anchor"] for cell in study["cells"]}
        linked = {e["cell"] for t in study["tables"] for row in t["rows"] for e in row} - {""}
        assert linked
        assert linked <= set(places)
    assert values["values"]["spans"][0][0] == ["study", 1]
    counted = {row[0]["text"]: int(row[1]["text"]) for row in values["verdicts"]["rows"]}
    assert sum(counted.values()) == len(values["values"]["rows"]) == 5
    for word, count in counted.items():
        assert f"{count} {word}" in model.abstract[-1]

    titles = [study.title for study in model.studies]
    named = headings(model, folder)
    assert named[: 1 + len(titles)] == ["What each study found", *titles]
    assert named[named.index("Every study") + 1 :][: len(titles)] == titles
    tables = [each.get("label") for each in queried(model, folder, "figure.where(kind: table)")]
    assert tables.index("<table-xor_depth-main>") < tables.index("<table-keep_prob-cells>")
    assert not [place for place in tables if place and place.endswith("-values>")]
    assert len(set(tables) - {None}) == len([each for each in tables if each])
    every = {f"<table-{s.name}-{t.name}>" for s in model.studies for t in s.tables}
    assert {place for place in every if not place.endswith("-values>")} <= set(tables)
    said = json.dumps(queried(model, folder, "<abstract>"), ensure_ascii=False)
    assert all(f"{s.title}: {s.summary.headline}" in said for s in model.studies)


def test_the_body_stays_short_however_many_studies_there_are(model: Document, folder: Path) -> None:
    many = replace(model, studies=tuple(copied(model.studies, 33)))
    found = queried(many, folder, "selector(heading).or(<last-of-body>)")
    (end,) = [place for place, each in enumerate(found) if each["func"] == "metadata"]
    assert found[end]["value"] <= 12
    titles = {study.title for study in many.studies}
    named = [words(each.get("body")) in titles for each in found]
    assert sum(named[:end]) == 4
    assert sum(named[end:]) == 2 * 33  # what each found, and its runs


def copied(studies: Sequence[Section], count: int) -> list[Section]:
    """So many studies, of which each has anchors of its own."""
    made = []
    for i in range(count):
        study = studies[i % len(studies)]
        cells = tuple(replace(cell, anchor=f"{cell.anchor}-{i}") for cell in study.cells)
        made.append(replace(study, name=f"{study.name}_{i}", cells=cells))
    return [replace(each, pictures=each.pictures[:2]) for each in made]


def test_what_is_too_long_for_a_few_pages_is_left_to_files(model: Document, folder: Path) -> None:
    only = of_one(model, "ladder").studies[0]
    main = next(table for table in only.tables if table.name == "main")
    long = replace(main, rows=main.rows[:1] * 500)
    others = [replace(long, name=f"other_{i}", rows=long.rows[:40]) for i in range(4)]
    tall = replace(only.pictures[0], name="by_x", height=20.0)
    pictures = (tall, *[replace(only.pictures[0], name=f"by_{i}") for i in range(9)])
    alone = of_one(model, "ladder", tables=(long, *others), pictures=pictures)
    assert pages(alone, folder) <= 6
    shown = json.dumps(queried(alone, folder, "figure.where(kind: table)"))
    assert "ladder/table_main.csv" in shown
    assert "other_0" in shown
    assert "other_2" not in shown
    assert len(queried(alone, folder, "image")) == 5


def test_a_caption_of_the_paper_loses_no_sentence_to_the_one_it_refers_to(model: Document) -> None:
    whole = {f"table-{s.name}-{t.name}": t.caption for s in model.studies for t in s.tables}
    shown = {}
    for study in paper_values(model)["studies"]:
        for table in study["tables"]:
            label = f"table-{study['name']}-{table['name']}"
            shown[label] = table["caption"]
            told = f"{table['caption']} {shown.get(table.get('like', ''), '')}"
            for sentence in SENTENCES.split(whole[label]):
                assert sentence in told
    assert sum(map(len, shown.values())) < sum(len(whole[label]) for label in shown)


def test_nothing_in_the_paper_floats() -> None:
    """A float may come to lie over what stands on its page; what is in the flow never does."""
    template = typst_source(TEMPLATES).decode()
    for word in ("placement:", "float:", "scope:", "#place("):
        assert word not in template


def test_every_work_that_a_paper_cites_is_an_entry_of_bibtex(
    model: Document, tmp_path: Path
) -> None:
    write_references(tmp_path)
    entries = (tmp_path / "references.bib").read_text(encoding="utf-8").split("\n@")
    keys = [re.match(r"@?(?:article|inproceedings|book|misc)\{(\w+),\n", each) for each in entries]
    assert all(keys)
    assert len({found[1] for found in keys if found}) == len(works()) == len(entries)
    assert model.references
    for work in works():
        (entry,) = (each for each in entries if f"{{{work.key}," in each)
        assert f"title = {{{{{work.title}}}}}," in entry
        assert f"year = {{{work.year}}}," in entry
        assert entry.count("{") == entry.count("}")
        assert work.title in work.text
    assert set(model.references) <= {work.text for work in works()}
