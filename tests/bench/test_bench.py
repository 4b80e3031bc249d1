"""The benchmark compares equal work, and its table says what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ablation_lab.study.run import TrainerName
from ablation_lab.training.cost import Accelerators
from ablation_lab.training.plan import plan
from ablation_lab.training.single import build_module
from tests.bench import calls, card, fits, machine, measure, rivals, steps
from tests.bench.growth import growth
from tests.bench.report import Section, growth_figure, page
from tests.bench.rows import ALONE, CEILING, LIGHTNING, PLAIN, STEP, Row, Wanted, line, table
from tests.bench.workloads import (
    ADAM,
    MLP,
    WORKLOADS,
    XOR,
    Workload,
    drawn,
    replicates,
)

SMALL = Workload(
    "small",
    "small",
    {"family": "mlp", "widths": [4]},
    "digits",
    ADAM,
    20,
    steps=10,
    stacks={2: 5, 10**6: 1},
)
SMALL_XOR = replace(XOR, model={**XOR.model, "widths": [2]})


@pytest.mark.parametrize("work", WORKLOADS, ids=lambda work: work.name)
def test_the_rivals_train_the_same_network(work: Workload) -> None:
    module = build_module(work.runs(1)[0], work.dataset)
    ours = sum(p.numel() for p in module.parameters())
    # The lab's convolutions follow the decks and have no bias.
    biases = sum(work.model.get("channels", []))
    assert sum(p.numel() for p in rivals.network(work).parameters()) == ours + biases


@pytest.mark.parametrize("work", [XOR, MLP], ids=lambda work: work.name)
def test_the_rivals_learn(work: Workload) -> None:
    data = work.training_data().train
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    model = rivals.network(work)
    update = rivals.optimizer(work, model)
    losses = []
    for _ in range(10):
        losses.append(rivals.criterion(work, model(x[:50]), y[:50]))
        update.zero_grad()
        losses[-1].backward()
        update.step()
    assert losses[-1] < losses[0]


def test_a_row_tells_the_median_the_ratio_and_what_was_wanted() -> None:
    wanted = Wanted(2), Wanted(3, PLAIN)
    row = Row("XOR", "lab", STEP, [3e-6, 1e-6, 2e-6], {PLAIN: 4e-6}, wanted)
    call = Row("Call", "cold", values=[1234.5])
    left_out = Row("XOR", "stack of 9", missing="about 8 GiB")
    assert table([row, call, left_out]).splitlines() == [
        "| what | how | median (least to most) | n | × plain loop | wanted |",
        "| --- | --- | --- | --- | --- | --- |",
        "| XOR | lab | 2 µs a step (1 to 3) | 3 | 2 | "
        "≤ 2 µs a step: reached; ≥ 3 × plain loop: missed |",
        "| Call | cold | 1,234 s | 1 |  |  |",
        "| XOR | stack of 9 | not measured: about 8 GiB |  |  |  |",
    ]
    assert line(call) == "Call | cold | 1,234 s | 1"


def test_the_page_has_every_section_with_its_rows() -> None:
    first, second = (Section(name, f"About {name}.", lambda _: []) for name in ("One", "Two"))
    rows = {first: [Row("a", "b", values=[1.0])], second: [Row("c", "d", values=[2.0])]}
    text = page(rows, {10: [0.1, 0.2]}, accelerator="none")
    assert text.index("## One\n\nAbout One.\n") < text.index("| a | b | 1 s | 1 |")
    assert text.index("| a | b |") < text.index("## Two") < text.index("| c | d | 2 s | 1 |")
    assert "accelerator: none" in text
    assert "median of 2, bars" in text


def test_equal_measurements_make_equal_figures(tmp_path_factory: pytest.TempPathFactory) -> None:
    paths = [tmp_path_factory.mktemp("figure") / "growth.svg" for _ in range(2)]
    for path in paths:
        growth_figure({10: [0.1, 0.2], 100: [0.2]}, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("work", WORKLOADS[2:], ids=lambda work: work.name)
def test_the_operations_of_a_step_are_those_that_torch_counts(work: Workload) -> None:
    """The share of the ceiling hangs on it. Counted on a step of the rival's network."""
    batch = work.batch_size or 0
    x, y = torch.rand(batch, *work.dataset.shape), torch.zeros(batch, dtype=torch.int64)
    model = rivals.network(work)
    with FlopCounterMode(display=False) as counter:
        rivals.criterion(work, model(x), y).backward()
    assert work.operations == counter.get_total_flops()


def test_a_step_is_told_apart_from_its_set_up() -> None:
    taken: list[int] = []

    def seconds(steps: int) -> float:
        taken.append(steps)
        return 2.0 + 0.25 * steps

    found = measure.cost(seconds, 8)
    assert (found, taken) == (measure.Cost(setup=2.0, step=0.25), [8, 24])
    assert found.of(100) == 27.0


def test_a_fit_that_was_held_up_is_measured_again() -> None:
    held_up = iter([9.0, 0.0, 0.0, 0.0])
    found = measure.cost(lambda steps: 2.0 + 0.25 * steps + next(held_up), 8)
    assert found == measure.Cost(setup=2.0, step=0.25)


def test_steps_that_take_no_time_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"a fit of 24 steps took 2\.0000 s, .* more steps"):
        measure.cost(lambda steps: 2.0, 8)


def test_a_stack_is_left_out_for_its_memory_or_its_time() -> None:
    assert measure.why_not(MLP, 1, products=1e9) == ""
    assert measure.why_not(MLP, 10**6, products=1e18).endswith("half of this machine's memory")
    assert (
        measure.why_not(MLP, 10, products=1e6) == f"over {10 * MLP.operations / 1e6:.0f} s a step"
    )


def test_a_step_takes_time_and_a_stack_shares_it() -> None:
    data = XOR.training_data()
    one, many = (measure.PreparedStack(XOR, data, size).seconds() for size in (1, 100))
    # A hundredfold in theory; the machine may be busy with something else meanwhile.
    assert 0 < many < one / 3


def test_a_network_is_measured_against_its_rivals() -> None:
    rows = {row.how: row for row in steps.rows_of(SMALL, 2)}
    assert list(rows) == ["plain loop", "Lightning fit", "lab, alone", *(
        f"lab, stack of {size}" for size in SMALL.stacks
    )]  # fmt: skip
    assert set(rows["lab, stack of 2"].rivals) == {PLAIN, LIGHTNING, CEILING}
    assert rows["plain loop"].ratio(PLAIN) == 1
    assert [len(row.values) for row in rows.values()] == [2, 2, 2, 2, 0]
    assert rows["lab, stack of 1000000"].missing


@pytest.mark.parametrize("fit", fits.FITS, ids=lambda fit: fit.title.partition(",")[0])
def test_what_is_held_against_its_runs_is_one_stack_in_a_study_too(fit: fits.Fit) -> None:
    runs = replicates(fit.title, fit.section, fits.RUNS)
    (stack,) = plan(runs, data_root=None, plugins=())
    assert (stack.trainer, len(stack.runs)) == (TrainerName.STACKED, fits.RUNS)


def test_a_stack_is_held_against_its_runs() -> None:
    together, apart = fits.rows_of(fits.FITS[0], 1, count=4)
    assert (apart.ratio(ALONE), together.how) == (1, "stack of 4")
    assert together.ratio(ALONE) > 1
    assert "(20 steps)" in together.what


def test_a_card_is_measured_by_stacks_of_the_plan_and_extrapolated() -> None:
    """The section of a CUDA device, on a CPU and in small."""
    data = drawn(SMALL.dataset, 2_000, validation=5)
    room = Accelerators(workers=2, bytes=1 << 20, measured=True)
    stacks = card.stacks_of(SMALL, room, 5)
    assert [len(stack.runs) for stack in stacks] == [3, 2]
    lab, rival = card.rows_of_grid(SMALL, data, 1, stacks, epochs=4)
    assert (lab.what, lab.how) == ("5 runs of small × 4 epochs", "lab, stacks of 3")
    assert lab.value > 0
    assert rival.ratio(LIGHTNING) == 1
    assert "≥ 30 × Lightning fit: " in lab.cells()["wanted"]


def test_without_a_card_there_is_no_section_of_it() -> None:
    assert card.sections(()) == []
    assert [section.title for section in card.sections(("0", "1"))] == ["One card"]


def test_growth_is_measured_in_stacks_of_at_most_a_thousand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[int]] = []

    def seconds(work: Workload, data: object, sizes: list[int]) -> float:
        asked.append(sizes)
        return float(sum(sizes))

    monkeypatch.setattr(measure, "whole_stacks", seconds)
    assert growth(XOR, (30, 2500), 2) == {30: [30.0, 30.0], 2500: [2500.0, 2500.0]}
    assert asked[1:3] == [[30], [1000, 1000, 500]]


def test_tracking_is_measured_for_a_stack_and_alone() -> None:
    kept = calls.tracking(SMALL_XOR, TrainerName.STACKED, runs=4, size=2)
    alone = calls.tracking(SMALL_XOR, TrainerName.SINGLE, runs=2, size=1)
    assert 0 < kept < 1
    assert 0 < alone < 1


@pytest.mark.slow
def test_the_whole_machine_is_measured_in_processes_that_begin_together() -> None:
    rows = machine.rows_of(replace(SMALL, steps=200), 1, processes=2)
    assert [row.how for row in rows] == [
        *("plain loop, 2 threads", "Lightning fit, 2 processes", "lab, 2 processes"),
        "large matrix products alone",
    ]
    assert all(row.value > 0 for row in rows)


@pytest.mark.slow
def test_whole_calls_are_measured_in_stores_of_their_own() -> None:
    words = "now.where.depth=[3] now.where.activation=[sigmoid]"
    work = replace(SMALL_XOR, steps=20)
    grid = replace(calls.THOUSAND, profile="smoke", words=words, runs=6, work=work, steps=20)
    empty, filled, rival, report = calls.rows_of_grid(grid, 1)
    assert (empty.what, report.what) == (grid.title, "Report from 6 runs")
    assert filled.rivals == rival.rivals
    first, again = calls.rows_of_repetition("smoke", "profile=smoke study=[toys_linear]", 1)
    assert first.how == "4 runs and their report"
    assert again.value < first.value
