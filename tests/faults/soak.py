"""``python -m tests.faults.soak MINUTES STUDY,…``: studies under faults, for as long as is asked.

Round after round a study of this project is trained in its smoke profile on a store of its own,
while its runner is killed, asked to end, joined by another one, or loses workers. Then nothing
disturbs a last call, and the store is counted. Prints a line a round, and the sums.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ablation_lab.store.runs import runs_of
from tests.cli.lab import ROOT, clean_environment
from tests.faults.lab import workers_of

LONGEST = 900.0  # seconds of a call that nothing disturbs
Runner = subprocess.Popen[str]


@dataclass
class Round:
    """A study on a store of its own, in a folder."""

    study: str
    folder: Path

    @property
    def uri(self) -> str:
        """The address of the store."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def start(self) -> Runner:
        """Start a call."""
        words = [f"study={self.study}", "profile=smoke", "reports=null", f"tracking.uri={self.uri}"]
        words += [f"tracking.artifacts={self.folder}/artifacts"]
        words += [f"tracking.queue=sqlite:///{self.folder}/queue.db"]
        return subprocess.Popen(
            [sys.executable, "-m", "ablation_lab", "run", *words],
            cwd=ROOT,
            env=clean_environment(Path.home()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def counted(self) -> Counter[str]:
        """Return how often each declared run is stored as finished."""
        names = [f"{self.study}.replicates"]
        (stored,) = runs_of(self.uri, names, tags=(), metrics=False).values()
        return Counter(
            f"{run.tags['ablation.cell']} {run.tags['ablation.replicate']}"
            for run in stored
            if run.is_finished
        )

    @property
    def size(self) -> float:
        """MB of the store and all beside it."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1e6


def killed(runner: Runner) -> None:
    """Kill the runner."""
    runner.kill()


def asked(runner: Runner) -> None:
    """Ask the runner, or it and its workers, to end."""
    os.killpg(runner.pid, random.choice((signal.SIGINT, signal.SIGTERM)))


def robbed(runner: Runner) -> None:
    """Kill the workers of the runner, which goes on."""
    for worker in workers_of(runner.pid):
        os.kill(worker, signal.SIGKILL)


FAULTS: tuple[Callable[[Runner], None], ...] = (killed, asked, robbed)


def disturbed(round_: Round, draw: random.Random) -> tuple[int, int]:
    """Let a study be trained under faults; return how many there were, and how many tracebacks."""
    faults = tracebacks = 0
    for _ in range(draw.randint(1, 3)):
        runners = [round_.start() for _ in range(draw.choice((1, 1, 2)))]
        time.sleep(draw.uniform(1.0, 20.0))
        for runner in runners:
            if runner.poll() is None:
                try:
                    draw.choice(FAULTS)(runner)
                except (AssertionError, ProcessLookupError):  # no worker yet, or just over
                    continue
                faults += 1
        for runner in runners:
            _, said = runner.communicate(timeout=LONGEST)
            if "Traceback" in said:
                tracebacks += 1
                sys.stdout.write(f"{said}\n")
    return faults, tracebacks


def main(minutes: float, studies: list[str]) -> int:
    """Run rounds; return 0 where nothing was lost, doubled or told as a traceback."""
    draw, end = random.Random(0), time.monotonic() + 60 * minutes
    rounds = done = faults = lost = doubled = tracebacks = 0
    expected: dict[str, set[str]] = {}
    while time.monotonic() < end:
        study = studies[rounds % len(studies)]
        with tempfile.TemporaryDirectory(prefix="soak") as folder:
            round_ = Round(study, Path(folder))
            if study in expected:
                met, told = disturbed(round_, draw)
                faults, tracebacks = faults + met, tracebacks + told
            last = round_.start()
            _, said = last.communicate(timeout=LONGEST)
            found = round_.counted()
            declared = expected.setdefault(study, set(found))
            lost += len(declared - set(found)) + (last.returncode != 0)
            doubled += sum(number - 1 for number in found.values())
            done, rounds = done + len(found), rounds + 1
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
            line = f"{study}: {len(found)} runs, store {round_.size:.1f} MB, "
            sys.stdout.write(f"{line}largest process so far {memory:.2f} GB {said.strip()[:200]}\n")
            sys.stdout.flush()
    sys.stdout.write(
        f"{rounds} rounds, {done} runs done, {faults} faults survived, lost {lost}, "
        f"doubled {doubled}, tracebacks {tracebacks}\n"
    )
    return int(bool(lost or doubled or tracebacks))


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]), sys.argv[2].split(",")))
