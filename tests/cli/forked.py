"""A quick way to make calls: the command line is imported once, and forked for every call."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.lab import Call, Outcome, clean_environment

# A call that is ``held`` has 10 s of a processor and 1 GiB for itself.
CALLS = """
import json, os, resource, signal, sys, traceback
import ablation_lab.runner.gate, hydra, pooch
from ablation_lab.cli import main
held = sys.argv[1:] == ["held"]
if held:  # what a report needs takes most of the time of a call
    import ablation_lab.report.report, mlflow, optuna
    import matplotlib.font_manager
for line in sys.stdin:
    folder, arguments = json.loads(line)
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chdir(folder)
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            if held:
                signal.signal(signal.SIGXCPU, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_CPU, (10, 12))
                resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
                signal.alarm(120)
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


@contextmanager
def forking(home: Path, *, held: bool = False) -> Iterator[Call]:
    """Give a function that makes a call in a folder: ``call(folder, *arguments)``."""
    with subprocess.Popen(
        [sys.executable, "-c", CALLS, *(["held"] if held else [])],
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
            out, err = (
                (folder / name).read_text(encoding="utf-8", errors="replace")
                for name in ("stdout", "stderr")
            )
            return Outcome(status, out, err)

        yield call
        server.stdin.close()
