"""Where Consul's archive comes from: the order, the reasons, and what each fault leads to."""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from labkit import archive, console
from labkit.archive import UnavailableError, Wanted
from labkit.console import LabError


@pytest.fixture(autouse=True)
def no_archive_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSUL_ARCHIVE", raising=False)
    monkeypatch.delenv("CONSUL_VERSION", raising=False)


@pytest.fixture
def request_(tmp_path: Path) -> Wanted:
    return Wanted("1.22.7", "amd64", tmp_path)


def packed(path: Path, name: str = "consul", content: bytes = b"#!/bin/sh\necho Consul v1.22.7\n") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, content)
    return path


def gives(path: Path) -> Callable[[Wanted], Path]:
    return lambda request: path


def refuses(reason: str) -> Callable[[Wanted], Path]:
    def source(request: Wanted) -> Path:
        raise UnavailableError(reason)

    return source


def serves(monkeypatch: pytest.MonkeyPatch, **pages: bytes) -> None:
    """Downloads answer by the last part of the address, all others with 404."""

    def download(address: str) -> bytes:
        name = address.rpartition("/")[2]
        if name not in pages:
            raise UnavailableError(f"{address} answers 404")
        return pages[name]

    monkeypatch.setattr(archive, "_download", download)


# ---- the order ------------------------------------------------------------------------------------------------------------------


def test_the_order_of_the_sources() -> None:
    assert [source for _, source in archive.sources()] == [archive.from_cache, archive.from_release, archive.from_go, archive.from_package]


def test_the_named_archive_comes_first(monkeypatch: pytest.MonkeyPatch, request_: Wanted, tmp_path: Path) -> None:
    named = packed(tmp_path / "named.zip")
    monkeypatch.setenv("CONSUL_ARCHIVE", str(named))
    assert archive.find(request_, [("other", refuses("not asked"))]) == named


@pytest.mark.parametrize(
    ("make", "says"), [(None, "does not exist"), ("text", "is no zip archive"), ("other", "holds no file named consul")]
)
def test_a_wrong_named_archive_is_an_error_and_nothing_else_is_tried(
    monkeypatch: pytest.MonkeyPatch, request_: Wanted, tmp_path: Path, make: str | None, says: str
) -> None:
    named = tmp_path / "named.zip"
    if make == "text":
        named.write_text("no archive")
    elif make == "other":
        packed(named, "vault")
    monkeypatch.setenv("CONSUL_ARCHIVE", str(named))
    with pytest.raises(LabError, match=says):
        archive.find(request_, [("other", gives(packed(tmp_path / "good.zip")))])


def test_the_next_source_when_one_cannot(request_: Wanted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = archive.find(request_, [("one", refuses("is away")), ("two", gives(tmp_path / "x.zip")), ("three", refuses("never asked"))])
    assert found == tmp_path / "x.zip"
    output = capsys.readouterr()
    assert output.out == ""
    assert "Consul 1.22.7 not from one: is away" in output.err
    assert "from two" in output.err
    assert "three" not in output.err


def test_no_source_has_it(request_: Wanted) -> None:
    with pytest.raises(LabError, match=r"(?s)one: is away.*two: is ill.*set CONSUL_ARCHIVE"):
        archive.find(request_, [("one", refuses("is away")), ("two", refuses("is ill"))])


def test_a_version_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_VERSION", "latest")
    with pytest.raises(LabError, match="CONSUL_VERSION is 'latest'"):
        archive.wanted()


# ---- each source ----------------------------------------------------------------------------------------------------------------


def test_the_cache(request_: Wanted) -> None:
    with pytest.raises(UnavailableError, match="does not exist"):
        archive.from_cache(request_)
    request_.path.write_text("half an archive")
    with pytest.raises(UnavailableError, match="is no zip archive; it will be replaced"):
        archive.from_cache(request_)
    packed(request_.path)
    assert archive.from_cache(request_) == request_.path


def test_the_release_is_verified_before_it_is_kept(monkeypatch: pytest.MonkeyPatch, request_: Wanted) -> None:
    content = b"the release"
    sums = f"{'0' * 64}  consul_1.22.7_linux_arm64.zip\n{sha256(content).hexdigest()}  {request_.name}\n".encode()
    serves(monkeypatch, **{"consul_1.22.7_SHA256SUMS": sums, request_.name: b"something else"})
    with pytest.raises(UnavailableError, match=r"linux_amd64\.zip has the SHA-256 .* and not"):
        archive.from_release(request_)
    assert list(request_.cache.iterdir()) == []
    serves(monkeypatch, **{"consul_1.22.7_SHA256SUMS": sums, request_.name: content})
    assert archive.from_release(request_).read_bytes() == content


def test_a_release_without_this_architecture_or_away(monkeypatch: pytest.MonkeyPatch, request_: Wanted) -> None:
    serves(monkeypatch, **{"consul_1.22.7_SHA256SUMS": b""})
    with pytest.raises(UnavailableError, match="has no consul_1"):
        archive.from_release(request_)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "RELEASES", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9/.*: .*refused"):
        archive.from_release(request_)


def test_go_builds_only_what_the_recipe_knows(monkeypatch: pytest.MonkeyPatch, request_: Wanted, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"the recipe knows 1\.22\.7 only"):
        archive.from_go(Wanted("1.21.0", "amd64", tmp_path))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(UnavailableError, match="go is not installed"):
        archive.from_go(request_)


def test_go_that_is_too_old(monkeypatch: pytest.MonkeyPatch, request_: Wanted) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/bin/go")
    monkeypatch.setattr(console, "run", lambda *_, **__: CompletedProcess([], 0, "go version go1.19.8 linux/amd64", ""))
    with pytest.raises(UnavailableError, match=r"go1\.19; go 1\.25 is needed"):
        archive.from_go(request_)


def test_the_module_that_go_builds_from() -> None:
    module = archive.go_module("1.22.7")
    assert "tool github.com/hashicorp/consul\n" in module
    assert "\tgithub.com/hashicorp/consul v1.22.7\n" in module
    assert "\tgithub.com/hashicorp/consul/sdk v0.17.3\n" in module


def debian_package(consul: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("./usr/bin/consul")
        info.size = len(consul)
        tar.addfile(info, io.BytesIO(consul))
    package = b"!<arch>\n"
    for name, content in ((b"debian-binary", b"2.0\n"), (b"control.tar.xz", b"odd"), (b"data.tar.xz", lzma.compress(data.getvalue()))):
        package += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(content)) + content + b"\n" * (len(content) % 2)
    return package


def test_the_old_package_becomes_an_archive_of_its_own_version(monkeypatch: pytest.MonkeyPatch, request_: Wanted) -> None:
    package = debian_package(b"the old binary")
    serves(monkeypatch, **{"consul_1.8.7+dfsg1-2+b3_amd64.deb": package})
    with pytest.raises(UnavailableError, match="SHA-256"):
        archive.from_package(request_)
    monkeypatch.setitem(archive.PACKAGES, "amd64", sha256(package).hexdigest())
    made = archive.from_package(request_)
    assert made.name == "consul_1.8.7_linux_amd64.zip"
    with zipfile.ZipFile(made) as content:
        assert content.namelist() == ["consul"]
        assert content.read("consul") == b"the old binary"
        assert content.getinfo("consul").external_attr >> 16 & 0o777 == 0o755
    serves(monkeypatch)
    assert archive.from_package(request_) == made


# ---- the binary -----------------------------------------------------------------------------------------------------------------


def test_the_binary_lies_under_the_version_that_it_says(request_: Wanted, tmp_path: Path) -> None:
    binary = archive.binary(packed(tmp_path / "any-name.zip"), tmp_path)
    assert binary == tmp_path / "1.22.7" / "consul"
    assert binary.stat().st_mode & 0o777 == 0o755


def test_the_binary_is_unpacked_once_and_again_when_it_differs(request_: Wanted, tmp_path: Path) -> None:
    binary = archive.binary(packed(request_.path), tmp_path)
    first = binary.stat().st_ino
    assert archive.binary(request_.path, tmp_path).stat().st_ino == first
    packed(request_.path, content=b"#!/bin/sh\n# another build\necho Consul v1.22.7\n")
    assert "another build" in archive.binary(request_.path, tmp_path).read_text()


def test_a_binary_that_is_no_consul(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not say its version"):
        archive.binary(packed(tmp_path / "x.zip", content=b"#!/bin/sh\necho hello\n"), tmp_path)
