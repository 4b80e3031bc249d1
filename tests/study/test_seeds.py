"""Streams have roles: equal only where comparisons are meant to be paired."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ablation_lab.study.run import Role, stream


def test_seeds_roles_and_replicates_all_differ() -> None:
    streams = [
        stream(seed, role, replicate)
        for seed in (0, 1, 2, 10)
        for role in Role
        for replicate in range(50)
    ]
    assert len(set(streams)) == len(streams)


def test_seed_zero_is_a_seed_of_its_own() -> None:
    # Runs are found again by what they drew: this number must not change by accident.
    assert stream(0, Role.INIT, 0) == 4966651724284428848
    assert stream(0, Role.INIT, 0) != stream(1, Role.INIT, 0)


def test_digits_do_not_run_together() -> None:
    assert stream(1, Role.ORDER, 11) != stream(11, Role.ORDER, 1)


@given(st.integers(), st.sampled_from(Role), st.integers(0))
def test_a_stream_is_a_seed_that_torch_and_numpy_take(
    seed: int, role: Role, replicate: int
) -> None:
    assert 0 <= stream(seed, role, replicate) < 2**63
    assert stream(seed, role, replicate) == stream(seed, role, replicate)
