"""Files are found where people keep them, verified before they are read, downloaded if missing."""

import gzip
import hashlib
import lzma
import socket
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from ablation_lab.data import (
    Alternative,
    DataError,
    DataFile,
    Dataset,
    Part,
    TrainingData,
    files,
    load,
    loading,
    verify,
)
from lightning_modules.registry import Registry

ROWS = {"tiny/train.gz": bytes(range(10)), "tiny/test.gz": bytes(range(5))}


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def read_tiny(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Read bytes as rows with one feature; the class is the parity."""
    parts = {}
    for name, raw in contents.items():
        row = np.frombuffer(raw, np.uint8)
        parts[name] = Part(row[:, None].astype(np.float32), (row % 2).astype(np.int64))
    train, test = (parts[name] for name in ROWS)
    return TrainingData(train=train, validation=train), test


def tiny(urls: tuple[str, ...] = ()) -> Dataset:
    """Declare a data set of two compressed files; the plain forms are accepted as well."""
    declared = tuple(
        DataFile(
            name=name,
            sha256=sha(gzip.compress(raw, mtime=0)),
            alternatives=(Alternative(name.removesuffix(".gz"), sha(raw)),),
            urls=tuple(url + name for url in urls),
        )
        for name, raw in ROWS.items()
    )
    return Dataset(
        name="small_set",
        shape=(1,),
        classes=1,
        examples=3,
        files=declared,
        about="two files",
        read=read_tiny,
    )


def write(folder: Path, contents: Mapping[str, bytes], *, compress: bool = True) -> Path:
    """Write files below a folder and return the folder."""
    for name, raw in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(raw, mtime=0) if compress else raw)
    return folder


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry[Dataset]:
    """Give an empty registry, a cache folder below the test's own, and no ABLATION_DATA."""
    empty: Registry[Dataset] = Registry("data set")
    monkeypatch.setattr(loading, "DATASETS", empty)
    monkeypatch.setattr(files, "DATASETS", empty)
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("ABLATION_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return empty


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """Serve the folder `mirror` on this machine and give its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the test's output clean."""

    (tmp_path / "mirror").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "mirror"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def closed_address() -> str:
    """Return an address of this machine at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def refusal(name: str, root: Path | None) -> str:
    """Return the message with which both `verify` and `load` refuse the data: one line."""
    with pytest.raises(DataError) as from_verify:
        verify(name, root)
    with pytest.raises(DataError) as from_load:
        load(name, root)
    assert str(from_verify.value) == str(from_load.value)
    assert "\n" not in str(from_load.value)
    assert "Traceback" not in str(from_load.value)
    return str(from_load.value)


def check_tiny(root: Path | None) -> None:
    """Load the tiny data set and compare it with what was written."""
    training, test = load("small_set", root)
    assert training.train.x[:, 0].tolist() == list(range(10))
    assert test.y.tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("folder", ["tiny/", "small_set/", ""])
@pytest.mark.parametrize("compress", [True, False])
def test_files_are_found_where_people_keep_them(
    registry: Registry[Dataset], tmp_path: Path, folder: str, compress: bool
) -> None:
    registry.register("small_set")(tiny())
    ending = ".gz" if compress else ""
    contents = {
        f"{folder}{name.removeprefix('tiny/').removesuffix('.gz')}{ending}": raw
        for name, raw in ROWS.items()
    }
    check_tiny(write(tmp_path / "data", contents, compress=compress))


def test_root_goes_before_environment_before_cache(
    registry: Registry[Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register("small_set")(tiny())
    write(tmp_path / "cache", ROWS)
    check_tiny(None)
    monkeypatch.setenv("ABLATION_DATA", str(write(tmp_path / "env", {"tiny/train.gz": b"other"})))
    assert str(tmp_path / "env" / "tiny" / "train.gz") in refusal("small_set", None)
    check_tiny(write(tmp_path / "root", ROWS))


def test_a_wrong_byte_stops_before_anything_is_read(
    registry: Registry[Dataset], tmp_path: Path
) -> None:
    def never(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
        raise AssertionError("the reader ran on unverified data")

    dataset = replace(tiny(), read=never)
    registry.register("small_set")(dataset)
    wrong = write(tmp_path / "data", ROWS) / "tiny" / "test.gz"
    raw = bytearray(wrong.read_bytes())
    raw[-1] ^= 1
    wrong.write_bytes(raw)
    message = refusal("small_set", tmp_path / "data")
    assert f"small_set: wrong file {wrong}:" in message
    assert f"expected sha256 {dataset.files[1].sha256}, found {sha(bytes(raw))}" in message


def test_a_truncated_file_is_wrong(registry: Registry[Dataset], tmp_path: Path) -> None:
    registry.register("small_set")(tiny())
    short = write(tmp_path / "data", ROWS) / "tiny" / "train.gz"
    short.write_bytes(short.read_bytes()[:-6])
    assert f"wrong file {short}: expected sha256" in refusal("small_set", tmp_path / "data")


def test_an_unreadable_place_is_named(registry: Registry[Dataset], tmp_path: Path) -> None:
    registry.register("small_set")(tiny())
    # A name that is too long for the system cannot be looked at by anybody, root included.
    root = tmp_path / ("x" * 300)
    assert f"cannot read {root}" in refusal("small_set", root)


@pytest.mark.parametrize("name", ["a.gz", "a.xz", "a.tar.gz"])
def test_a_truncated_file_whose_sum_was_declared_is_refused(
    registry: Registry[Dataset], tmp_path: Path, name: str
) -> None:
    packed = lzma.compress(bytes(99)) if name == "a.xz" else gzip.compress(bytes(99))
    (tmp_path / name).write_bytes(packed[:-6])
    member = "inside" if name == "a.tar.gz" else ""
    file = DataFile("a", sha(b""), (Alternative(name, sha(packed[:-6]), member=member),))
    registry.register("small_set")(replace(tiny(), files=(file,)))
    with pytest.raises(DataError, match=f"cannot decompress .*{name}: .*; replace it"):
        load("small_set", tmp_path)


def test_what_is_absent_is_named_with_everything_that_was_tried(
    registry: Registry[Dataset], tmp_path: Path
) -> None:
    address = closed_address()
    registry.register("small_set")(tiny((address,)))
    message = refusal("small_set", tmp_path / "nowhere")
    assert message.startswith("small_set: file tiny/train.gz or tiny/train not found in ")
    for words in (tmp_path / "nowhere", tmp_path / "cache", address, "ABLATION_DATA", "data.root"):
        assert str(words) in message
    assert "no connection" in message
    assert "Max retries" not in message
    assert not (tmp_path / "nowhere").exists()


def test_a_missing_file_is_downloaded_verified_and_kept(
    registry: Registry[Dataset], tmp_path: Path, mirror: str
) -> None:
    registry.register("small_set")(tiny((closed_address(), mirror)))
    write(tmp_path / "mirror", ROWS)
    check_tiny(tmp_path / "data")
    assert (tmp_path / "data" / "tiny" / "train.gz").is_file()
    write(tmp_path / "mirror", dict.fromkeys(ROWS, b"changed"))
    check_tiny(tmp_path / "data")


def test_without_a_data_folder_downloads_go_to_the_cache(
    registry: Registry[Dataset], tmp_path: Path, mirror: str
) -> None:
    registry.register("small_set")(tiny((mirror,)))
    write(tmp_path / "mirror", ROWS)
    verify("small_set", None)
    assert sorted(path.name for path in (tmp_path / "cache" / "tiny").iterdir()) == [
        "test.gz",
        "train.gz",
    ]


def test_a_wrong_download_is_not_kept(
    registry: Registry[Dataset], tmp_path: Path, mirror: str
) -> None:
    dataset = tiny((mirror,))
    registry.register("small_set")(dataset)
    write(tmp_path / "mirror", {"tiny/train.gz": b"no such page"}, compress=False)
    message = refusal("small_set", tmp_path / "data")
    assert f"expected sha256 {dataset.files[0].sha256}, found {sha(b'no such page')}" in message
    assert not (tmp_path / "data").exists()


def test_a_page_that_is_not_there_is_named_by_its_status(
    registry: Registry[Dataset], tmp_path: Path, mirror: str
) -> None:
    registry.register("small_set")(tiny((mirror,)))
    assert f"{mirror}tiny/train.gz: HTTP status 404" in refusal("small_set", tmp_path / "data")


def test_one_archive_serves_all_files_whatever_the_others_are(
    registry: Registry[Dataset], tmp_path: Path, mirror: str
) -> None:
    plain = write(tmp_path / "plain", {"one": b"1", "two": b"2", "last": b"3"}, compress=False)
    with tarfile.open(tmp_path / "mirror" / "all.tar.gz", "w:gz") as archive:
        for name in ("one", "last"):
            archive.add(plain / name, f"inner/{name}")
    total = sha((tmp_path / "mirror" / "all.tar.gz").read_bytes())
    file = {
        name: DataFile(
            name,
            sha((plain / name).read_bytes()),
            (Alternative("all.tar.gz", total, (f"{mirror}all.tar.gz",), member=f"inner/{name}"),),
        )
        for name in ("one", "two", "last")
    }
    dataset = replace(tiny(), files=tuple(file.values()))
    data = write(tmp_path / "data", {"two": b"2"}, compress=False)
    sources = files.verified_sources(dataset, data)
    assert list(files.decoded(sources).items()) == [("one", b"1"), ("two", b"2"), ("last", b"3")]
    assert (data / "all.tar.gz").is_file()


def test_twins_with_the_same_file_names_do_not_hide_each_other(
    registry: Registry[Dataset], tmp_path: Path
) -> None:
    # MNIST and Fashion-MNIST: the file of one lies in the root, that of the other in the cache.
    one = DataFile("one/images", sha(b"1"))
    other = DataFile("other/images", sha(b"2"))
    registry.register("one")(replace(tiny(), name="one", files=(one,)))
    registry.register("other")(replace(tiny(), name="other", files=(other,)))
    data = write(tmp_path / "data", {"images": b"1"}, compress=False)
    write(tmp_path / "cache", {"other/images": b"2"}, compress=False)
    verify("one", data)
    verify("other", data)
    (data / "images").write_bytes(b"3")
    assert f"wrong file {data / 'images'}" in refusal("other", data)
