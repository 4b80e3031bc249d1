"""A project of XOR with a service in a process of its own, as a user has it."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ablation_lab.service.users import Scope, Users
from tests.cli.lab import LONGEST, STUDY, clean_environment, wait_until

SMALL = {**STUDY, "profiles": {"smoke": {"replicates": 2}}}
HOSTILE = "<script>alert(1)</script> & <b>bold</b>"
READY = 60.0  # however loaded the machine is


def study(title: str, *, steps: int = 20, **changes: Any) -> dict[str, Any]:
    """Return a declaration of its own: title and steps make its id."""
    declared = copy.deepcopy(SMALL) | {"title": title} | changes
    declared["run"]["training"]["steps"] = steps
    return declared


class Service:
    """`ablation serve` of a folder; it may be killed and started again at the same address."""

    token = ""
    authority: Path | None = None

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        (folder / "conf" / "study").mkdir(parents=True, exist_ok=True)
        self.declare("tiny", study("tiny"))
        self.port = 0
        self.start()

    def declare(self, name: str, declared: dict[str, Any]) -> Path:
        path = self.folder / "conf" / "study" / f"{name}.yaml"
        path.write_text(yaml.safe_dump({name: declared}, sort_keys=False), encoding="utf-8")
        return path

    def start(self) -> None:
        """Start it, and wait for the line with its address."""
        command = [sys.executable, "-m", "ablation_lab", "serve", f"port={self.port}"]
        with (self.folder / "stderr").open("a") as errors:
            self.process = subprocess.Popen(
                [*command, "profile=smoke", "engine.workers=1", *self.options],
                cwd=self.folder,
                env=clean_environment(self.folder),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(3)]
        self.url = self.said[0].split()[1].rstrip("/")
        self.port = int(self.url.rpartition(":")[2])
        wait_until(self.answers, what="the service answers", seconds=READY)

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            return self.get("/healthz").ok
        except requests.ConnectionError:
            return False

    def kill(self) -> None:
        """Kill it as nothing can be killed harder."""
        self.process.kill()
        self._gone()

    def stop(self) -> int:
        """Stop it in good order."""
        self.process.send_signal(signal.SIGTERM)
        self._gone()
        return self.process.returncode

    def _gone(self) -> None:
        self.process.wait(LONGEST)
        if self.process.stdout:
            self.process.stdout.close()

    def get(self, path: str, **asked: Any) -> requests.Response:
        return self.ask("GET", path, **asked)

    def post(self, path: str, **asked: Any) -> requests.Response:
        return self.ask("POST", path, **asked)

    def ask(self, method: str, path: str, **asked: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self.authority) if self.authority else True
            if self.token:
                session.headers["Authorization"] = f"Bearer {self.token}"
            return session.request(method, f"{self.url}{path}", **{"timeout": LONGEST, **asked})

    def call(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Type in a command of its folder."""
        own = {"ABLATION_SERVER": self.url, "ABLATION_CA": str(self.authority or "")}
        return subprocess.run(
            [sys.executable, "-m", "ablation_lab", *words],
            cwd=self.folder,
            env=clean_environment(self.folder) | own | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


class Closed(Service):
    """A service that asks for tokens, of scopes that bear their names, behind TLS."""

    def __init__(self, folder: Path) -> None:
        self.authority, key = certificate(folder)
        (folder / "runs").mkdir()
        users = Users(f"sqlite:///{folder}/runs/service.db")
        self.tokens = {scope: users.add(f"a-{scope}", scope) for scope in Scope}
        tls = (f"tls.certificate={self.authority}", f"tls.key={key}")
        super().__init__(folder, "allowed_hosts=localhost,lab.test", *tls)

    def as_(self, scope: Scope) -> Service:
        """The same, asked with the token of a scope."""
        other = copy.copy(self)
        other.token = self.tokens[scope]
        return other


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of localhost by itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "lab.crt", folder / "lab.key"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(0o600)
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
