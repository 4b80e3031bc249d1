"""The Slurm engine alone: how work is put into batches and arrays, on commands that play Slurm.

They are as much of Slurm as submitit needs: jobs and arrays start at once, as processes of this
machine, and what is asked of sbatch is written down.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ablation_lab.engines import slurm as slurm_engine
from tests.engines.lab import Jobs, lives, settings, until

COMMANDS = {
    "sbatch": """
echo "$@" >> "$PLAY/asked"
[ "$1" = --test-only ] && exit 0
number=$(($(ls "$PLAY/jobs" | wc -l) + 1))
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1
export SLURM_JOB_NODELIST=here SLURM_JOB_ID=$number
if [ -z "$last" ]; then
  setsid bash "$1" > /dev/null 2>&1 &
  echo $! > "$PLAY/jobs/$number"
else
  echo "array of $((last + 1))" >> "$PLAY/asked"
  for task in $(seq 0 "$last"); do
    SLURM_ARRAY_JOB_ID=$number SLURM_ARRAY_TASK_ID=$task setsid bash "$1" > /dev/null 2>&1 &
    echo $! > "$PLAY/jobs/${number}_$task"
  done
fi
echo "Submitted batch job $number"
""",
    "srun": """
while :; do
  case $1 in
    --unbuffered) shift ;;
    --output | --error) shift 2 ;;
    *) exec "$@" ;;
  esac
done
""",
    "squeue": """
for job in "$PLAY"/jobs/*; do
  kill -0 "$(cat "$job")" 2> /dev/null && state=RUNNING || state=FAILED
  echo "$(basename "$job") $state"
done
""",
    "scancel": """
for job in "$@"; do kill -KILL -- "-$(cat "$PLAY/jobs/$job")"; done
""",
}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fake_torch")]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the commands on the path; return the file of what sbatch was asked."""
    play, commands = tmp_path / "play", tmp_path / "bin"
    (play / "jobs").mkdir(parents=True)
    commands.mkdir()
    for name, lines in COMMANDS.items():
        (commands / name).write_text(f"#!/bin/bash\n{lines}")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PLAY", str(play))
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    return play / "asked"


def test_small_jobs_share_a_batch_and_batches_an_array(
    jobs: Jobs, asked: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "slurm"
    slurm = settings("slurm", folder=str(folder), workers=4, batch_minutes=1)
    with slurm.start(()) as engine:
        # Twenty seconds each: three in a batch of a minute, ten in four batches.
        done = list(engine.map(jobs["double"], range(10), cost=lambda _: 20.0))
    assert sorted((each.job, each.result) for each in done) == [(n, 2 * n) for n in range(10)]
    test_only, submission, array = asked.read_text().splitlines()
    assert test_only.startswith("--test-only --time=60 --cpus-per-task=1 --mem=4096M")
    assert submission.endswith(".sh")
    assert array == "array of 4"
    # Nobody died: no file is left.
    assert list(folder.iterdir()) == []


def test_a_batch_that_dies_is_taken_apart(
    jobs: Jobs, asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_engine, "ASK", 1.0)
    monkeypatch.setattr(slurm_engine, "LATE", 1.0)
    folder = tmp_path / "slurm"
    slurm = settings("slurm", folder=str(folder), workers=4, batch_minutes=1)
    with slurm.start(()) as engine:
        came = engine.map(jobs["die_with_all"], [1, 13, 2], cost=lambda _: 20.0)
        done = {each.job: each for each in came}
    assert [done[job].result for job in (1, 2)] == [1, 2]
    assert done[13].error.startswith("the Slurm job died twice: state FAILED, log /")
    log = Path(done[13].error.rpartition("log ")[2])
    assert log.parent.parent.parent == folder
    assert asked.read_text().splitlines()[-1] == "array of 3"


def test_an_error_of_the_driver_cancels_its_jobs(jobs: Jobs, asked: Path, tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    def interrupted() -> None:
        with settings("slurm", folder=str(tmp_path / "slurm"), workers=2).start(()) as engine:
            for _ in engine.map(jobs["announce_and_stay"], [str(mark), *[""] * 20]):
                if mark.exists():
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert asked.exists()
    until(lambda: not lives(int(mark.read_text())))
