"""Commands that go wrong, and what is bounded of those that do not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ablation_lab.study.record import NoConvergence, Status
from tests.training.scripts import GOOD, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def is_alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


BAD = {
    "exits": ('print("a word"); raise ValueError("no data")', {},
              ["train.py:3", "exit status 1: ValueError: no data"]),
    "silent": ("sys.exit(3)", {}, ["exit status 3"]),
    "no metric": ("", {}, ["left no 'acc', and no other value", "${out}/metrics.json"]),
    "another": ('Path(sys.argv[2], "metrics.json").write_text(\'{"ac": 1}\')', {},
                ["left no 'acc'", "nearest: 'ac'"]),
    "text": ('Path(sys.argv[2], "metrics.json").write_text(\'{"acc": "high"}\')', {},
             ["metrics.json: 'acc': expected a number, found 'high'"]),
    "twice": ('Path(sys.argv[2], "metrics.jsonl").write_text(\'{"acc": 1}\\n{"acc": 2}\')', {},
              ["metrics.jsonl, line 2: 'acc' has a second value"]),
    "no JSON": ('Path(sys.argv[2], "metrics.json").write_text("acc: 1")', {},
                ["metrics.json: expected JSON"]),
    "deep": ('Path(sys.argv[2], "metrics.json").write_text("[" * 100_000)', {},
             ["metrics.json: expected JSON: maximum recursion depth"]),
    "step": ('Path(sys.argv[2], "metrics.jsonl").write_text(\'{"acc": 1, "step": 1e400}\')', {},
             ["metrics.jsonl, line 1: 'acc': expected a step, found inf"]),
    "wide": ('Path(sys.argv[2], "metrics.csv").write_text("name,value\\nacc," + "9" * 200_000)', {},
             ["metrics.csv, line 2: field larger than field limit"]),
    "never ends": ("time.sleep(1000)", {"limits": {"minutes": 0.005}},
                   ["ended after 0.005 min (limits.minutes)"]),
    "too large": ("kept = bytearray(300_000_000); time.sleep(1000)", {"limits": {"memory": 0.2}},
                  ["of 0.2 GB (limits.memory)"]),
    "killed": ("os.kill(os.getpid(), 9)", {}, ["killed: by somebody, or as the machine"]),
    "no program": ("", {"command": ["no-such-program", "${lr}"]},
                   ["there is no program 'no-such-program'"]),
    "no folder": ("", {"folder": "nowhere"}, ["there is no folder"]),
    "not executable": ("", {"command": ["./train.py", "${lr}"]},
                       ["the program './train.py' does not start: Permission denied"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_goes_wrong_is_a_failed_run_with_its_reason(project: Project, case: str) -> None:
    text, run, said = BAD[case]
    project.script(text)
    record = project.record(**run)
    assert record.status is Status.FAILED
    for each in ("command", *said):
        assert each in record.reason, record.reason
    assert record.error
    assert "\n" not in record.reason


def test_the_last_lines_of_its_output_are_kept(project: Project) -> None:
    project.script("for n in range(1000): print('line', n)\nsys.exit(1)")
    lines = project.record().error.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("line 900", "line 999", 100)


def test_what_is_no_number_is_not_converged(project: Project) -> None:
    record = project.leaves(metrics__json='{"acc": NaN, "loss": Infinity}')
    assert record.status is Status.FINISHED
    assert record.not_converged is NoConvergence.NON_FINITE
    assert record.metrics["loss"] == float("inf")


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_flood_of_output_fills_neither_memory_nor_disk(project: Project, end: str) -> None:
    text = f"for _ in range(2_000): sys.stdout.write('y' * 99_999 + {end!r})\n" + GOOD
    project.script(text)
    started = time.monotonic()
    record = project.record()
    assert record.metrics == {"acc": 0.1}
    assert time.monotonic() - started < 60
    (kept,) = [path for path in Path(record.files).iterdir() if path.is_file()]
    assert kept.name == "output.txt"
    assert kept.stat().st_size < 500_000


@pytest.mark.parametrize("hidden", [False, True])
def test_children_that_stay_are_ended(project: Project, hidden: bool) -> None:
    project.script(
        f"""
        child = os.fork()
        if not child:
            if {hidden}:
                os.setsid()
            time.sleep(1000)
        Path("child").write_text(str(child))
        {GOOD}
        """
    )
    record = project.record()
    assert record.metrics == {"acc": 0.1}
    assert not is_alive(int((project.folder / "child").read_text()))


def test_a_process_that_heeds_no_request_is_killed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation_lab.training.process.GRACE", 0.1)
    project.script(
        """
        import signal
        signal.signal(15, signal.SIG_IGN)
        print("no", flush=True)
        time.sleep(1000)
        """
    )
    record = project.record(limits={"minutes": 0.02})
    assert "limits.minutes" in record.reason
    assert record.error == "no"


def test_a_process_has_time_to_end_by_itself(project: Project) -> None:
    project.script(
        """
        import signal
        signal.signal(15, lambda *_: (print("saved", flush=True), sys.exit(0)))
        print("started", flush=True)
        time.sleep(1000)
        """
    )
    record = project.record(limits={"minutes": 0.02})
    assert record.error.splitlines() == ["started", "saved"]


def test_files_are_kept_within_the_declared_size(project: Project) -> None:
    project.script(
        f"""
        out = Path(sys.argv[2])
        (out / "model").mkdir()
        (out / "model" / "small.bin").write_bytes(b"x" * 1000)
        (out / "large.bin").write_bytes(b"x" * 2_000_000)
        (out / "link").symlink_to("/etc/passwd")
        os.mkfifo(out / "pipe")
        {GOOD}
        """
    )
    record = project.record(limits={"files": 1})
    found = {
        p.relative_to(record.files).as_posix() for p in Path(record.files).rglob("*") if p.is_file()
    }
    assert found == {"out/metrics.json", "out/model/small.bin", "left_out.txt"}
    assert (Path(record.files) / "left_out.txt").read_text() == "out/large.bin\t2000000\n"
