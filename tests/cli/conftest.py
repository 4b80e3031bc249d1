"""The shared labs: one with a finished store, and a quick way to make calls that are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.lab import (
    ALL,
    Call,
    Finished,
    FirstCall,
    Lab,
    Outcome,
    clean_environment,
    ended,
)

# Imports the command line once and forks for every call, which saves a second each.
CALLS = """
import json, os, sys, traceback
import ablation_lab.runner.gate, hydra, pooch
from ablation_lab.cli import main
for line in sys.stdin:
    folder, arguments = json.loads(line)
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chdir(folder)
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
            sys.argv = ["ablation_lab", *arguments]
            status = main()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="session")
def forked_call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Return a function that makes a call in a folder: ``call(folder, *arguments)``."""
    home = tmp_path_factory.mktemp("home")
    with subprocess.Popen(
        [sys.executable, "-c", CALLS],
        env=clean_environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def call(folder: Path, *arguments: str) -> Outcome:
            print(json.dumps([str(folder), arguments]), file=server.stdin, flush=True)
            status = int(server.stdout.readline())
            return Outcome(status, (folder / "stdout").read_text(), (folder / "stderr").read_text())

        yield call
        server.stdin.close()


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
