"""Observed runs in tables, figures and TensorBoard's log, from a store as the lab writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from ablation_lab.report.figures import figures_for
from ablation_lab.report.files import write_study
from ablation_lab.report.study import Study, load
from ablation_lab.report.table_training import gradients_table
from ablation_lab.report.tensorboard import main
from ablation_lab.statistics.intervals import median_interval
from tests.report.golden_store import START, Writer, declaration

NORMS = (0.001, 0.1)  # of the first and of the last layer before the first step
COUNTS = [0, 3, 4, 1]
RUNS = 6


def probed(*, surface: bool) -> str:
    """As a run keeps it: two layers at two steps; the spread is no longer finite at the second."""
    histogram = {"low": -1.0, "high": 1.0, "counts": COUNTS}
    layers = [
        {
            "step": step,
            "layer": f"layer_{number}",
            "numbers": {
                "gradient_norm": norm,
                "activation_spread": None if step else number / 2,
            },
            "histograms": {"weight": histogram, "activation": histogram},
        }
        for step in (0, 100)
        for number, norm in enumerate(NORMS, start=1)
    ]
    drawn = {"low": [0, 0], "high": [1, 1], "values": [[0.1, 0.9], [0.9, 0.1]],
             "examples": [[0, 0, 0], [1, 0, 1]]}  # fmt: skip
    return json.dumps({"layers": layers, "surface": drawn if surface else None})


def write(writer: Writer, name: str, *, surface: bool) -> None:
    """Two depths, six runs each; a norm is scaled by the replicate, one run diverges at once."""
    factors = {"depth": ["2", "3"], "activation": ["relu"], "init": ["normal"]}
    cells = [
        {"cell": f"depth={d}", "factors": {"depth": d, "activation": "relu", "init": "normal"}}
        for d in ("2", "3")
    ]
    layout = {"rows": ["depth"], "columns": ["activation", "init"]}
    made = declaration(
        name, "quick", factors=factors, cells=cells, replicates=RUNS, metric="train_loss",
        higher_is_better=False, chance=None, layout=layout,
    )  # fmt: skip
    writer.declare(made)
    for cell in cells:
        for r in range(RUNS):
            metrics = {"train_loss": 0.1} | {f"gradient_norm/layer_{i}": 1.0 for i in (1, 2)}
            run = writer.run(made, cell["cell"], r, metrics=metrics)
            for number, norm in enumerate(NORMS, start=1):
                lost = (cell["cell"], r) == ("depth=3", 0)
                value = float("nan") if lost else norm * (1 + r * (number == 1))
                writer.client.log_metric(run, f"gradient_norm/layer_{number}", value, START, 0)
            writer.client.log_text(run, probed(surface=surface), "observation.json")


@pytest.fixture
def store(new_writer: Callable[[], Writer]) -> Writer:
    writer = new_writer()
    write(writer, "drawn", surface=True)
    write(writer, "images", surface=False)
    return writer


def study(store: Writer, name: str) -> Study:
    return load(store.uri, "quick", only=[name])[0]


def test_the_table_gives_medians_with_their_intervals(store: Writer) -> None:
    table = gradients_table(study(store, "images"))
    first = [1e-3 * (1 + r) for r in range(RUNS)]
    assert table.header[0][-7:] == (
        "first layer", "last layer", "first / last", "first / last after training", "n",
        "spread", "spread after training",
    )  # fmt: skip
    cells = [[entry.text for entry in row] for row in table.rows]
    assert cells[0][-7:-3] == [
        f"{np.median(first):.4g} [{min(first):.4g}, {max(first):.4g}]", "0.1 [0.1, 0.1]",
        f"{np.median(first) / 0.1:.4g} [0.01, 0.06]", "1 [1, 1]",
    ]  # fmt: skip
    # Of six runs one diverged at once, and five bound no median.
    assert cells[1][-7:-3] == ["0.004 (5)", "0.1 (5)", "0.04 (5)", "1 [1, 1]"]
    assert [row[-3] for row in cells] == ["6", "6"]


def test_the_table_gives_the_spread_of_the_last_hidden_layer(store: Writer) -> None:
    for row in gradients_table(study(store, "images")).rows:
        assert [entry.text for entry in row[-2:]] == ["0.5", "–"]
        assert [entry.value for entry in row[-2:]] == [0.5, None]


def test_a_store_that_kept_no_spread_has_no_column_of_it(store: Writer) -> None:
    made = study(store, "images")
    bare = {
        cell: replace(one, layers=tuple(replace(layer, numbers={}) for layer in one.layers))
        for cell, one in made.layers.probed.items()
    }
    table = gradients_table(replace(made, layers=replace(made.layers, probed=bare)))
    assert table.header[0][-1] == "n"
    assert "Spread" not in table.caption


def test_figures_follow_what_was_probed(store: Writer) -> None:
    drawn = {"gradients", "boundaries", "activations", "activations_trained"}
    assert drawn <= set(figures_for(study(store, "drawn")))
    images = figures_for(study(store, "images"))
    assert {"gradients", "activations", "activations_trained"} <= set(images)
    assert "boundaries" not in images


def test_a_network_without_a_finite_answer_says_so(store: Writer) -> None:
    made = study(store, "drawn")
    first, *_ = made.layers.probed
    seen = made.layers.probed[first]
    assert seen.surface is not None
    lost = replace(seen, surface=replace(seen.surface, values=((None, None), (None, None))))
    probed = {**made.layers.probed, first: lost}
    made = replace(made, layers=replace(made.layers, probed=probed))
    panels = figures_for(made)["boundaries"](made).figure.axes
    assert [text.get_text() for ax in panels for text in ax.texts].count("not finite") == 1


def test_the_norms_are_drawn_at_their_medians(store: Writer) -> None:
    made = study(store, "drawn")
    ax = figures_for(made)["gradients"](made)
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), [1e-3 * 3.5, 0.1])


@pytest.mark.parametrize("name", ["drawn", "images"])
def test_they_are_written_like_every_figure(store: Writer, name: str, tmp_path: Path) -> None:
    tables, figures = write_study(study(store, name), tmp_path / name)
    for figure in figures:
        assert (tmp_path / name / f"figure_{figure.name}.svg").stat().st_size > 1000
    assert "gradients" in [table.name for table in tables]


def test_a_store_without_the_files_says_so(new_writer: Callable[[], Writer]) -> None:
    writer = new_writer()
    write(writer, "images", surface=False)
    for file in Path(writer.artifacts).rglob("observation.json"):
        file.unlink()
    made = study(writer, "images")
    assert "2 cells, such as depth=2: the store has no observation.json" in made.problems[0]
    assert "activations" not in figures_for(made)
    assert "gradients" in figures_for(made)


def test_the_log_has_a_folder_for_each_run_and_says_what_it_lacks(
    store: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write_events(store, tmp_path / "log") == 0
    said = capsys.readouterr().out
    assert "images: 12 runs; 2 points that are not finite are left out" in said
    runs = {path.parent.relative_to(tmp_path) for path in tmp_path.rglob("events.*")}
    expected = {Path("log", "images", f"depth={d}", f"r{r}") for d in (2, 3) for r in range(RUNS)}
    assert runs == expected


def write_events(store: Writer, folder: Path) -> int:
    arguments = ["--store", store.uri, "--profile", "quick", "--studies", "images"]
    return main([*arguments, "--folder", str(folder)])


@pytest.mark.slow
def test_tensorboard_reads_curves_and_histograms(store: Writer, tmp_path: Path) -> None:
    """Slow only because its reader is one of the extras."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_events(store, tmp_path / "log")
    events: Any = EventAccumulator(str(tmp_path / "log" / "images" / "depth=2" / "r1"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("train_loss")]
    assert losses[-1] == (100, pytest.approx(0.1))
    initial = events.Scalars("gradient_norm/layer_1")[0]
    assert (initial.step, initial.value) == (0, pytest.approx(2e-3))
    histogram = events.Histograms("weight/layer_2")[0].histogram_value
    assert list(histogram.bucket) == COUNTS
    assert (histogram.min, histogram.max, histogram.num) == (-1, 1, sum(COUNTS))


def test_an_unknown_study_is_one_line(store: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", store.uri, "--profile", "quick", "--studies", "nothing"]) == 2
    assert "no study 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize(("n", "bounded"), [(5, False), (6, True), (11, True)])
def test_the_interval_of_the_median_covers(n: int, bounded: bool) -> None:
    draws = np.random.default_rng(5).exponential(size=(2000, n))
    made = [median_interval(row) for row in draws]
    assert all(np.isfinite(one.low) == bounded for one in made)
    if bounded:
        inside = np.mean([one.low <= np.log(2) <= one.high for one in made])
        assert inside >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 2000)
        low, high = scipy_stats.binom.ppf((0.025, 0.975), n, 0.5)
        ordered = np.sort(draws[0])
        assert (made[0].low, made[0].high) == (ordered[int(low) - 1], ordered[int(high)])
