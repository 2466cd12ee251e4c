"""Consul's release archive, from the nearest place that has it: each source says why it could not help."""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import platform
import re
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import console, image, paths
from .console import LabError

DEFAULT_VERSION = "1.22.7"
RELEASES = "https://releases.hashicorp.com/consul"
CONNECT_SECONDS = 5
PACKAGE_VERSION = "1.8.7"


class UnavailableError(Exception):
    """A source has no archive; its text is the reason that is shown."""


@dataclass(frozen=True)
class Wanted:
    version: str
    architecture: str
    cache: Path

    @property
    def name(self) -> str:
        return f"consul_{self.version}_linux_{self.architecture}.zip"

    @property
    def path(self) -> Path:
        return self.cache / self.name


Source = tuple[str, Callable[[Wanted], Path]]


def wanted() -> Wanted:
    machine = platform.machine()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine)
    if not architecture:
        raise LabError(f"There is no Consul for {machine} in the lab, only for x86_64 and aarch64.")
    version = os.environ.get("CONSUL_VERSION") or DEFAULT_VERSION
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise LabError(f"CONSUL_VERSION is {version!r}: give a release such as {DEFAULT_VERSION}.")
    return Wanted(version, architecture, paths.consul_cache())


def sources() -> Sequence[Source]:
    return (
        ("the cache", from_cache),
        ("the official release", from_release),
        ("a build with the Go toolchain", from_go),
        (f"the package {PACKAGE_VERSION} of Debian 11", from_package),
    )


def find(request: Wanted, candidates: Sequence[Source]) -> Path:
    """The archive that the user named, else the first that a source has."""
    if named := os.environ.get("CONSUL_ARCHIVE"):
        path = Path(named).expanduser().resolve()
        if fault := unusable(path):
            raise LabError(f"CONSUL_ARCHIVE is {named}, which {fault}: give the path of a release archive of Consul, or unset it.")
        console.say(f"Consul: {path}, as CONSUL_ARCHIVE says")
        return path
    reasons: list[str] = []
    for name, source in candidates:
        try:
            path = source(request)
        except UnavailableError as error:
            reasons.append(f"{name}: {error}")
            console.detail(f"Consul {request.version} not from {reasons[-1]}")
        else:
            console.say(f"Consul: {path}, from {name}")
            return path
    raise LabError(
        f"No source has Consul {request.version}:\n"
        + "\n".join(f"    {reason}" for reason in reasons)
        + "\n    Download a release archive by hand and set CONSUL_ARCHIVE to its path."
    )


def unusable(path: Path) -> str:
    """Empty for an archive with a file `consul` in it."""
    if not path.is_file():
        return "does not exist"
    try:
        with zipfile.ZipFile(path) as archive:
            archive.getinfo("consul")
    except (zipfile.BadZipFile, OSError):
        return "is no zip archive"
    except KeyError:
        return "holds no file named consul"
    return ""


def binary(archive: Path, cache: Path) -> Path:
    """The unpacked binary, under the version that it says it has."""
    named = re.search(r"\d+\.\d+\.\d+", archive.name)
    with zipfile.ZipFile(archive) as content, tempfile.TemporaryDirectory(dir=cache) as scratch:
        info = content.getinfo("consul")
        if (
            named
            and (known := cache / named[0] / "consul").is_file()
            and known.stat().st_size == info.file_size
            and _crc(known) == info.CRC
        ):
            return known
        console.say(f"Unpacking {archive.name}")
        unpacked = Path(content.extract(info, scratch))
        unpacked.chmod(0o755)
        says = re.search(r"Consul v(\d+\.\d+\.\d+)", console.run([unpacked, "version"]).stdout)
        if not says:
            raise LabError(f"{archive} holds a `consul` that does not say its version: it is damaged, or no Consul.")
        target = cache / says[1] / "consul"
        target.parent.mkdir(exist_ok=True)
        unpacked.replace(target)
    return target


def _crc(path: Path) -> int | None:
    if not path.is_file():
        return None
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


# ---- the sources --------------------------------------------------------------------------------------------------------------


def from_cache(request: Wanted) -> Path:
    if not request.path.exists():
        raise UnavailableError(f"{request.path} does not exist")
    if fault := unusable(request.path):
        raise UnavailableError(f"{request.path} {fault}; it will be replaced")
    return request.path


def from_release(request: Wanted) -> Path:
    base = f"{RELEASES}/{request.version}"
    sums = _download(f"{base}/consul_{request.version}_SHA256SUMS").decode()
    expected = next((line.split()[0] for line in sums.splitlines() if line.split()[1:] == [request.name]), "")
    if not expected:
        raise UnavailableError(f"its SHA256SUMS has no {request.name}")
    console.say(f"Downloading {base}/{request.name}")
    return _keep(request.path, _verified(_download(f"{base}/{request.name}"), expected, request.name))


# Consul's go.mod replaces parts of itself by folders of its repository, which `go install` refuses: a module of our own
# names the released versions of these parts instead. They belong to one version of Consul.
GO_PARTS = {
    "1.22.7": {"api": "v1.34.1", "envoyextensions": "v0.9.6", "proto-public": "v0.7.4", "sdk": "v0.17.3", "troubleshoot": "v0.8.7"},
}
GO_MINIMUM = (1, 25)


def go_module(version: str) -> str:
    parts = "".join(f"\tgithub.com/hashicorp/consul/{name} {tag}\n" for name, tag in GO_PARTS[version].items())
    return f"""module lab

go {GO_MINIMUM[0]}.{GO_MINIMUM[1]}.0

tool github.com/hashicorp/consul

require (
\tgithub.com/hashicorp/consul v{version}
{parts})
"""


def from_go(request: Wanted) -> Path:
    if request.version not in GO_PARTS:
        raise UnavailableError(f"the recipe knows {', '.join(GO_PARTS)} only")
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
    if not go:
        raise UnavailableError("go is not installed")
    found = re.search(r"go(\d+)\.(\d+)", console.run([go, "version"]).stdout)
    if not found or (int(found[1]), int(found[2])) < GO_MINIMUM:
        raise UnavailableError(f"{go} is {found[0] if found else 'of an unknown version'}; go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} is needed")
    proxies = [
        proxy for proxy in re.split("[,|]", console.run([go, "env", "GOPROXY"]).stdout.strip()) if proxy not in ("", "direct", "off")
    ]
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=mod -buildvcs=false",
        "GOPROXY": ",".join(proxies) or "https://proxy.golang.org",  # without `direct`: no repository is cloned
    }
    console.say(f"Building Consul {request.version} with {go} (about 7 minutes on 2 cores)")
    with tempfile.TemporaryDirectory(dir=request.cache, prefix="build-") as scratch:
        directory = Path(scratch)
        (directory / "go.mod").write_text(go_module(request.version))
        command: list[str | Path] = [
            go,
            "build",
            "-v",
            "-trimpath",
            "-ldflags",
            "-s -w",
            "-o",
            directory / "consul",
            "github.com/hashicorp/consul",
        ]
        try:
            console.stream([go, "mod", "download"], "go mod download", env=environment, cwd=directory)
            console.stream(command, "go build", env=environment, cwd=directory)
        except LabError as error:
            raise UnavailableError(str(error)) from error
        return _keep(request.path, _zipped((directory / "consul").read_bytes()))


# Debian 11's package never changes again: its checksums stand here.
PACKAGES = {
    "amd64": "e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9",
    "arm64": "7318cfa77a7ba6f71dd096e44353279de246ffc6561216ace42353685dcf8255",
}
ARCHIVES = ("http://archive.debian.org/debian", "http://snapshot.debian.org/archive/debian/20230101T000000Z")


def from_package(request: Wanted) -> Path:
    """An old Consul, so only when nothing else is to be had; it is kept under its own version's name."""
    old = Wanted(PACKAGE_VERSION, request.architecture, request.cache)
    if old.path.exists() and not unusable(old.path):
        return old.path
    name = f"pool/main/c/consul/consul_1.8.7+dfsg1-2+b3_{old.architecture}.deb"
    reasons: list[str] = []
    for mirror in dict.fromkeys((image.mirrors().main, image.DEFAULT_MIRROR, *ARCHIVES)):
        try:
            console.say(f"Taking the old Consul {PACKAGE_VERSION} instead of {request.version}: downloading {mirror}/{name}")
            package = _verified(_download(f"{mirror}/{name}"), PACKAGES[old.architecture], name)
            return _keep(old.path, _zipped(_member(package, "./usr/bin/consul")))
        except UnavailableError as error:
            reasons.append(f"{mirror}: {error}")
    raise UnavailableError("; ".join(reasons))


def _member(package: bytes, name: str) -> bytes:
    """One file of a Debian package, which is an `ar` archive with a compressed `tar` in it."""
    offset = 8
    while offset + 60 <= len(package):
        header = package[offset : offset + 60]
        size = int(header[48:58])
        if header[:16].strip().rstrip(b"/") == b"data.tar.xz":
            with tarfile.open(fileobj=io.BytesIO(lzma.decompress(package[offset + 60 : offset + 60 + size]))) as content:
                file = content.extractfile(name)
                return file.read() if file else b""
        offset += 60 + size + size % 2
    raise UnavailableError("the package has no data.tar.xz")


# ---- bytes --------------------------------------------------------------------------------------------------------------------


def _download(address: str) -> bytes:
    started = shown = time.monotonic()
    content = bytearray()
    try:
        with urllib.request.urlopen(address, timeout=CONNECT_SECONDS) as response:  # noqa: S310
            total = int(response.headers.get("Content-Length") or 0)
            while block := response.read(1 << 18):
                content += block
                if time.monotonic() - shown >= console.TICK_SECONDS:
                    shown = time.monotonic()
                    console.detail(f"{shown - started:.0f} s: {len(content) >> 20} of {total >> 20} MiB")
    except urllib.error.HTTPError as error:
        raise UnavailableError(f"{address} answers {error.code}") from error
    except OSError as error:
        raise UnavailableError(f"{address}: {getattr(error, 'reason', error)}") from error
    if total and len(content) != total:
        raise UnavailableError(f"{address} broke off after {len(content)} of {total} bytes")
    return bytes(content)


def _verified(content: bytes, expected: str, name: str) -> bytes:
    if (found := hashlib.sha256(content).hexdigest()) != expected:
        raise UnavailableError(f"{name} has the SHA-256 {found} and not {expected}")
    return content


def _zipped(consul: bytes) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo("consul", time.localtime()[:6])
    info.external_attr = 0o100755 << 16
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr(info, consul, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _keep(path: Path, content: bytes) -> Path:
    """Whole or not at all: a run that is killed leaves no half archive."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
        new.write(content)
    Path(new.name).chmod(0o644)
    return Path(new.name).replace(path)
