"""The benchmark compares equal work, and its table says what was measured."""

from __future__ import annotations

import pytest
import torch

from experiments.bench import measure, rivals
from experiments.bench.report import Report, Row, growth_figure
from experiments.bench.workloads import MLP, WORKLOADS, XOR, Workload
from experiments.trainers.solo import build_module


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


def test_a_row_tells_the_median_and_the_ratio() -> None:
    row = Row("XOR", "lab", "µs a step", 1e6, [3e-6, 1e-6, 2e-6], 4e-6)
    assert row.line == "| XOR | lab | 2 µs a step (1 to 3) | 2 |"
    alone = Row("Call", "cold", "s", 1, [1234.5], None)
    assert alone.line == "| Call | cold | 1,234 s |  |"
    report = Report(rounds=3, rows=[row, alone])
    assert row.line in report.markdown()
    assert "median of 3 rounds" in report.markdown()


def test_equal_measurements_make_equal_figures(tmp_path_factory: pytest.TempPathFactory) -> None:
    paths = [tmp_path_factory.mktemp("figure") / "growth.svg" for _ in range(2)]
    for path in paths:
        growth_figure({10: 0.1, 100: 0.2}, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_step_takes_time_and_a_stack_shares_it() -> None:
    data = XOR.training_data()
    one, many = measure.in_stack(XOR, data, 1), measure.in_stack(XOR, data, 100)
    # A hundredfold in theory; the machine may be busy with something else meanwhile.
    assert 0 < many < one / 3
