"""The tables of analysis/, printed from a store through public names alone."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

import ablation_lab
from analysis.__main__ import TABLES, main
from tests.report.golden_store import START, Writer, accuracy, declaration, grid

TWO = {"depth": ["2", "3"], "keep_prob": ["1.0", "0.5"]}
STUDIES = (
    "xor_depth", "gradients_xor", "full_model", "factorial", "init_activation", "dropout",
    "ensemble", "optimizers", "learning_rate", "train_size", "regularisation", "frameworks",
    "stock",
)  # fmt: skip


def write_study(writer: Writer, name: str, **changes: object) -> None:
    """Two factors, four cells, three replicates each; gradients as a probed run notes them."""
    cells = grid(TWO)
    made = declaration(
        name, "quick", factors=TWO, cells=cells, replicates=3, metric="test_accuracy",
        baseline=cells[0]["cell"], **changes,
    )  # fmt: skip
    writer.declare(made)
    for position, cell in enumerate(cells):
        for r in range(3):
            metrics = accuracy(0.9 + 0.01 * position + 0.001 * (r + position) ** 2)
            if name == "gradients_xor":
                metrics |= {f"gradient_norm/layer_{i}": 1.0 for i in (1, 2)}
            run = writer.run(made, cell["cell"], r, metrics=metrics)
            if name == "gradients_xor":
                for i in (1, 2):
                    writer.client.log_metric(run, f"gradient_norm/layer_{i}", 0.1 * i, START, 0)


def write_ladder(writer: Writer) -> None:
    """Two steps of different sizes, the second with a printed accuracy."""
    factors = {"step": ["softmax", "mlp"]}
    cells = grid(factors)
    value = {"claim_id": "s1-mlp", "printed": 0.95, "kind": "dist", "about": "an MLP: accuracy"}
    made = declaration(
        "ladder", "quick", factors=factors, cells=cells, replicates=3, metric="test_accuracy",
        design="ladder", claims={"step=mlp": [value]},
    )  # fmt: skip
    writer.declare(made)
    for position, cell in enumerate(cells):
        for r in range(3):
            sized = {**accuracy(0.9 + 0.02 * position + 0.001 * r), "parameters": 10.0 + position}
            writer.run(made, cell["cell"], r, metrics=sized)


def write_checks(writer: Writer) -> None:
    """One check of three numbers."""
    factors = {"check": ["shape"]}
    made = declaration(
        "computed", "quick", factors=factors, cells=grid(factors), replicates=1, metric="value_0",
        chance=None,
    )  # fmt: skip
    writer.declare(made)
    writer.run(made, "check=shape", 0, metrics={f"value_{i}": float(i) for i in range(3)})


@pytest.fixture(scope="module")
def store(template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small store of every study that a table shows."""
    folder = tmp_path_factory.mktemp("lectures")
    shutil.copy(template, folder / "mlflow.db")
    writer = Writer(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    for name in STUDIES:
        write_study(writer, name)
    write_ladder(writer)
    write_checks(writer)
    return writer.uri


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_printed_and_kept(
    table: str, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([table, "--store", store, "--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("**")
    assert printed.count("\n| --- |") >= len(TABLES[table])
    assert (tmp_path / "quick" / f"{table}.md").read_text(encoding="utf-8") == printed


def test_every_table_of_the_lectures_is_there() -> None:
    assert list(TABLES) == [f"T{number}" for number in range(1, 13)]


def test_only_public_names_are_used() -> None:
    assert main.__module__ == "analysis.__main__"
    tree = ast.parse(Path(main.__code__.co_filename).read_text(encoding="utf-8"))
    taken = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in taken if str(node.module).startswith("ablation_lab")]
    assert {node.module for node in ours} == {"ablation_lab"}
    assert {alias.name for node in ours for alias in node.names} <= set(ablation_lab.__all__)


@pytest.mark.parametrize(
    ("study", "name", "words"),
    [
        ("ladder", "heat", "study 'ladder' has no table 'heat'; it has: main"),
        ("lader", "main", "no study 'lader'"),
        (None, "heat", "profile 'quick' has no table across all studies 'heat'"),
    ],
)
def test_a_table_that_is_not_there_is_named_with_those_that_are(
    *,
    study: str | None,
    name: str,
    words: str,
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(TABLES, "T1", ((study, name),))  # type: ignore[arg-type]
    assert main(["T1", "--store", store, "--folder", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
