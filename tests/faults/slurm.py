"""A Slurm of one's own: one node on the loopback, without accounting, to be broken and mended."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PATIENCE = 90.0
SETTINGS = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
SlurmdUser=root
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=2
SlurmdTimeout=10
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A controller and a node, whose files lie in ``folder``; ``SLURM_CONF`` is where to find it.

    It is root's: other users' jobs would need their accounts.
    """

    def __init__(self, folder: Path) -> None:
        absent = [name for name in PROGRAMS if shutil.which(name) is None]
        assert not absent, f"no {absent}: install Debian's slurm-wlm and munge"
        self.folder, self.host = folder, socket.gethostname().partition(".")[0]
        self.conf = folder / "slurm.conf"
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o700)
        (folder / "munge" / "key").write_bytes(os.urandom(1024))
        (folder / "munge" / "key").chmod(0o400)
        ports = {"controller": _free_port(), "node": _free_port()}
        text = SETTINGS.format(folder=folder, host=self.host, **ports)
        self.conf.write_text(text, encoding="utf-8")
        place = folder / "munge"
        self._running = [
            self._start(
                *("munged", "--foreground", f"--key-file={place}/key", "--force"),
                *(f"--socket={place}/socket", f"--pid-file={place}/pid"),
                *(f"--log-file={place}/log", f"--seed-file={place}/seed"),
            )
        ]
        self.until((place / "socket").exists)
        self._running.append(self._start("slurmctld", "-D"))
        self.start_node()

    def start_node(self) -> None:
        """Start the node; return when it takes jobs."""
        self._node = self._start("slurmd", "-D")
        self.until(lambda: self.said("sinfo", "--noheader", "--format=%T") in ("idle", "mixed"))

    def kill_node(self) -> None:
        """Kill the node's daemon and all that it started."""
        self._node.kill()
        self._node.wait()
        for stepd in self._processes("slurmstepd"):
            for pid in [*_below(stepd), stepd]:
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End everything."""
        self.said("scancel", "--user=root", "--signal=KILL", "--full")
        self.kill_node()
        for process in reversed(self._running):
            process.terminate()
            process.wait(timeout=PATIENCE)

    def said(self, *command: str) -> str:
        """Return what a command of Slurm says."""
        environment = os.environ | {"SLURM_CONF": str(self.conf)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        return done.stdout.strip()

    def jobs(self, *which: str) -> list[str]:
        """Return the jobs that wait or run."""
        return self.said("squeue", "--noheader", "--array", "--format=%i", *which).split()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that happens."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.1)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command[0]}.log").open("a") as log:
            return subprocess.Popen(
                command,
                env=os.environ | {"SLURM_CONF": str(self.conf)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _processes(self, name: str) -> list[int]:
        """Return this cluster's processes of that name: others may have theirs."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                known = (path / "comm").read_text().strip() == name
                ours = str(self.conf).encode() in (path / "environ").read_bytes()
            except OSError:
                continue
            if known and ours:
                found.append(int(path.name))
        return found


def _below(pid: int) -> list[int]:
    """Return the processes that a process started, the youngest first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, children) for each in [*_below(child), child]]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
