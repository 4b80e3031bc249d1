"""The order of examples: a permutation every epoch, from its own stream only."""

from __future__ import annotations

from itertools import islice

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ablation_lab.training.order import Order


def epoch(order: Order, steps: int) -> list[Tensor]:
    batches = list(islice(iter(order), steps))
    assert all(batch is not None for batch in batches)
    return [batch for batch in batches if batch is not None]


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**63 - 1))
def test_an_epoch_takes_each_example_at_most_once(examples: int, batch: int, seed: int) -> None:
    size = min(batch, examples)
    steps = examples // size
    batches = epoch(Order(examples=examples, batch_size=batch, seed=seed), 2 * steps)
    for part in (batches[:steps], batches[steps:]):
        taken = torch.cat(part).tolist()
        assert [len(each) for each in part] == [size] * steps
        assert len(set(taken)) == len(taken) == steps * size  # the remainder is dropped
        assert set(taken) <= set(range(examples))


def test_a_whole_epoch_is_a_permutation_and_the_next_is_another() -> None:
    batches = epoch(Order(examples=40, batch_size=10, seed=3), 8)
    first, second = torch.cat(batches[:4]), torch.cat(batches[4:])
    assert first.sort().values.tolist() == list(range(40))
    assert not torch.equal(first, second)


def test_the_same_stream_gives_the_same_order() -> None:
    one, two, other = (
        torch.cat(epoch(Order(examples=50, batch_size=7, seed=seed), 21)) for seed in (5, 5, 6)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    epoch(Order(examples=50, batch_size=7, seed=5), 21)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_full_batch_has_no_order() -> None:
    assert list(islice(iter(Order(examples=4, batch_size=None, seed=0)), 3)) == [None] * 3
