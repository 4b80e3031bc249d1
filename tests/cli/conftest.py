"""The shared labs: one with a finished store, and a quick way to make calls that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.forked import forking
from tests.cli.lab import (
    ALL,
    Call,
    Finished,
    FirstCall,
    Lab,
    ended,
)


@pytest.fixture(scope="session")
def forked_call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Return a function that makes a call in a folder: ``call(folder, *arguments)``."""
    with forking(tmp_path_factory.mktemp("home")) as call:
        yield call


@pytest.fixture(scope="session", autouse=True)
def first_call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstCall]:
    """Start the first call before the first test: those that need no store run beside it."""
    lab = Lab(tmp_path_factory.mktemp("finished"))
    call = FirstCall(lab, lab.start(*ALL))
    yield call
    call.stop()


@pytest.fixture(scope="session")
def finished(first_call: FirstCall) -> Finished:
    """Return the lab in which the examples and an ensemble study were trained, with the report."""
    return Finished(first_call.lab, ended(first_call.process))


@pytest.fixture
def lab(finished: Finished, tmp_path: Path) -> Lab:
    """Return a lab of the test's own, with the finished store in it."""
    copy = Lab(tmp_path)
    copy.copy_store(finished.lab)
    return copy
