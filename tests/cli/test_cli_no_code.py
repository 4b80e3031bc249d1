"""Nothing that a study, its folder or an argument says runs code: whatever Hydra could do with it.

Every case would create a file if anything of it ran.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import yaml

from tests.cli.lab import STUDY, Call, refused

BASE = ("study=tiny", "profile=smoke")
SEEN = "somebody-was-here"


class Evil:
    """Creates a file where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (SEEN, "w")


CALLS = [
    {"_target_": "pandas.read_pickle", "filepath_or_buffer": "evil.pkl"},
    {"_target_": "joblib.load", "filename": "evil.pkl"},
    {"_target_": "numpy.load", "file": "evil.pkl", "allow_pickle": True},
    {"_target_": "torch.load", "f": "evil.pkl", "weights_only": False},
    {"_target_": "shutil.copyfile", "src": "evil.pkl", "dst": SEEN},
    {"_target_": "logging.FileHandler", "filename": SEEN},
    {"_target_": "pathlib.Path.touch", "_args_": [SEEN]},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a study that is right, and a pickle that is not."""
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    write(tmp_path, "study/tiny.yaml", yaml.safe_dump({"tiny": STUDY}))
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    path = folder / "conf" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def check_refused(call: Call, folder: Path, *arguments: str, verb: str = "plan") -> str:
    line = refused(call(folder, verb, *BASE, *arguments), folder)
    assert not (folder / SEEN).exists()
    assert not (folder / "outputs").exists()
    return line


@pytest.mark.parametrize("verb", ["plan", "run", "report", "values", "serve"])
@pytest.mark.parametrize("target", CALLS, ids=lambda call: str(call["_target_"]))
def test_a_study_in_the_place_of_hydra_itself(
    forked_call: Call, folder: Path, target: dict[str, object], verb: str
) -> None:
    text = yaml.safe_dump({"tiny": STUDY, "callbacks": {"x": target}})
    write(folder, "study/tiny.yaml", f"# @package hydra\n{text}")
    assert "found a directive for Hydra" in check_refused(forked_call, folder, verb=verb)


def test_a_profile_in_the_place_of_everything(forked_call: Call, folder: Path) -> None:
    write(folder, "profile/mine.yaml", "# @package _global_\nplugins: [antigravity]\n")
    line = check_refused(forked_call, folder, "+profile=mine")
    assert "found a directive for Hydra" in line


@pytest.mark.parametrize("target", CALLS, ids=lambda call: str(call["_target_"]))
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("engine/mine.yaml", {"name": "local", "defaults": [{"/hydra/callbacks": "x"}]}),
        ("config.yaml", {"defaults": ["study: tiny"], "hydra": {"callbacks": "TARGET"}}),
        ("hydra/callbacks/x.yaml", {"x": "TARGET"}),
        ("model/mlp.yaml", {"family": "mlp", "x": "TARGET"}),
        ("references/mine.yaml", {"source": "mine", "values": "TARGET"}),
        ("study/other.yaml", {"other": {"run": "TARGET"}}),
        ("study/deeper/other.yml", {"other": {"run": "TARGET"}}),
    ],
)
def test_a_file_beside_the_study(
    forked_call: Call,
    folder: Path,
    name: str,
    content: dict[str, object],
    target: dict[str, object],
) -> None:
    text = yaml.safe_dump(content).replace("TARGET", str(target).replace("True", "true"))
    write(folder, name, text)
    # These are no folders of the lab's, and nothing can choose their files.
    if name.startswith("hydra/"):
        assert "unknown key" in check_refused(forked_call, folder, "+hydra/callbacks=x")
    elif name.startswith("model/"):
        assert "each study says which" in check_refused(forked_call, folder, "+model=mlp")
    else:
        check_refused(forked_call, folder)


@pytest.mark.parametrize(
    "argument",
    [
        "hydra.callbacks.x._target_=pathlib.Path.cwd",
        "+hydra.callbacks.x={_target_:logging.FileHandler,filename:somebody-was-here}",
        "++hydra.job_logging.handlers.file.filename=somebody-was-here",
        "hydra.run.dir=outputs",
        "hydra/launcher=joblib",
        "+study@hydra.callbacks=tiny",
        "+study@_global_=tiny",
        "~hydra.callbacks",
        "+hydra/callbacks=x",
        "+other=tiny",
        "+study.tiny.run.x={_target_:logging.FileHandler,filename:somebody-was-here}",
        "+study.tiny.run.x='${oc.create:${oc.env:HOME}}'",
        "+study.tiny.run.x=${hydra:runtime.cwd}",
        "--config-dir=conf",
        "--config-path=conf",
        "--experimental-rerun=evil.pkl",
        "--multirun",
        "-m",
        "--info=all",
    ],
)
def test_an_argument_for_hydra_itself(forked_call: Call, folder: Path, argument: str) -> None:
    check_refused(forked_call, folder, argument)
