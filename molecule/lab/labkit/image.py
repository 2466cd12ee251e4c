"""The image of a plain Debian host: from the public base image, or bootstrapped from the distribution's packages."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import console, paths
from .console import LabError
from .engine import LAB_LABEL, Engine

RECIPE = Path(__file__).parent.parent / "image"
REGISTRY = "docker.io/library/debian"
REGISTRY_PING = "https://registry-1.docker.io/v2/"
DEFAULT_MIRROR = "http://deb.debian.org/debian"
DEFAULT_SECURITY = "http://deb.debian.org/debian-security"
AUTHORITIES = Path("/usr/local/share/ca-certificates")

_CODENAMES = {"bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable"}
_PROXIES = tuple(name for lower in ("http_proxy", "https_proxy", "no_proxy") for name in (lower, lower.upper()))
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy")


@dataclass(frozen=True)
class Mirrors:
    main: str = DEFAULT_MIRROR
    security: str = DEFAULT_SECURITY

    @classmethod
    def of_sources(cls, texts: Iterable[str]) -> Mirrors:
        """The mirror that this machine's apt uses is the one that a container can reach too; other vendors' packages are not asked for."""
        entries = [entry for text in texts for entry in _entries(text) if entry[0].startswith("http") and "main" in entry[2]]

        def first(path: str, suites: set[str], default: str) -> str:
            return next((address for address, own, _ in entries if address.endswith(path) and suites & own), default)

        security = {f"{codename}-security" for codename in _CODENAMES}
        return cls(first("/debian", _CODENAMES, DEFAULT_MIRROR), first("/debian-security", security, DEFAULT_SECURITY))

    def sources_list(self, suite: str) -> str:
        return f"deb {self.main} {suite} main\ndeb {self.main} {suite}-updates main\ndeb {self.security} {suite}-security main\n"


def _entries(text: str) -> Iterator[tuple[str, set[str], set[str]]]:
    """Address, suites and components of each source, in both of apt's formats."""
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for match in re.finditer(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)(.*)$", text, re.MULTILINE):
        yield match[1].rstrip("/"), {match[2]}, set(match[3].split())
    for paragraph in re.split(r"\n\s*\n", text):
        fields = {key.lower(): value.split() for key, value in re.findall(r"^(\w[\w-]*):(.*)$", paragraph, re.MULTILINE)}
        for address in fields.get("uris", []):
            yield address.rstrip("/"), set(fields.get("suites", [])), set(fields.get("components", []))


def ensure(engine: Engine, suite: str) -> str:
    """The name of the suite's image, built when it is missing or when its recipe or this machine's settings changed."""
    machine = machine_files(suite)
    tag = f"uwsgi-consul-lab:{suite}-{_digest(machine)}"
    if engine.run("image", "inspect", tag, check=False).returncode != 0:
        for pattern in ("bootstrap-*", "image-*"):  # of a run that was killed
            for left in paths.lab_cache().glob(pattern):
                console.run(console.as_root(["rm", "-rf", "--one-file-system", left]), check=False)
        base = _base(engine, suite)
        console.say(f"Building the image {tag}: systemd, ssh and Python on Debian {suite}, with this machine's mirror and certificates")
        with tempfile.TemporaryDirectory(dir=paths.lab_cache(), prefix="image-") as scratch:
            context = Path(scratch)
            shutil.copytree(RECIPE, context, dirs_exist_ok=True)
            for name, content in machine.items():
                target = context / "machine" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            proxies = [word for name in _PROXIES if os.environ.get(name) for word in ("--build-arg", f"{name}={os.environ[name]}")]
            label = f"{LAB_LABEL}-image={suite}"
            options = ["--network", "host", "--build-arg", f"BASE={base}", *proxies, "--label", label, "--tag", tag]
            engine.stream(f"image {suite}", "build", "--file", str(context / "Containerfile"), *options, str(context))
    return tag


def _digest(machine: Mapping[str, bytes]) -> str:
    recipe = {str(path.relative_to(RECIPE)): path.read_bytes() for path in RECIPE.rglob("*") if path.is_file()}
    digest = hashlib.sha256()
    for name, content in sorted({**recipe, **{f"machine/{name}": content for name, content in machine.items()}}.items()):
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:12]


# ---- what of this machine a container needs in order to reach the registries ------------------------------------------------


def machine_files(suite: str) -> dict[str, bytes]:
    authorities = {path.name: path.read_bytes() for path in sorted(AUTHORITIES.glob("*.crt"))} if AUTHORITIES.is_dir() else {}
    texts = {
        "etc/apt/sources.list": mirrors().sources_list(suite),
        "etc/apt/apt.conf.d/90machine": apt_settings(_output("apt-config", "dump").splitlines()),
        "etc/pip.conf": pip_settings(
            _output(sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"), bool(authorities)
        ),
        "etc/environment": "".join(f"{name}={os.environ[name]}\n" for name in _PROXIES if os.environ.get(name)),
    }
    files = {name: text.encode() for name, text in texts.items()}
    return files | {f"usr/local/share/ca-certificates/{name}": content for name, content in authorities.items()}


def mirrors() -> Mirrors:
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    return Mirrors.of_sources(path.read_text(errors="replace") for path in sources if path.is_file())


def apt_settings(dump: Iterable[str]) -> str:
    """Proxies and checks of dates; the rest of a machine's settings is its own business."""
    wanted = re.compile(r'Acquire::(https?::Proxy(::.+)?|Check-Valid-Until|Check-Date) ".+";', re.IGNORECASE)
    return "".join(f"{line}\n" for line in dump if wanted.fullmatch(line.strip()))


def pip_settings(listing: str, private_authorities: bool) -> str:
    """pip brings its own list of authorities: where the machine has more, it must be told to use the machine's."""
    found: dict[str, str] = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2].replace("_", "-")
        if name in _PIP_SETTINGS:
            found[name] = value.strip("'\"")
    if private_authorities:
        found["cert"] = "/etc/ssl/certs/ca-certificates.crt"
    return "".join(["[global]\n", *(f"{name} = {value}\n" for name, value in sorted(found.items()))])


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


# ---- the base -----------------------------------------------------------------------------------------------------------------


def _base(engine: Engine, suite: str) -> str:
    public, own = f"{REGISTRY}:{suite}", f"uwsgi-consul-lab-base:{suite}"
    for base in (public, own):
        if engine.run("image", "inspect", base, check=False).returncode == 0:
            return base
    if reason := _unreachable(REGISTRY_PING):
        console.say(f"The public image {public} cannot be pulled ({reason})")
    else:
        console.say(f"Pulling the public image {public}, the base of the lab's image")
        try:
            engine.stream(f"pull {suite}", "pull", public)
        except LabError as error:
            console.detail(str(error))
        else:
            return public
    _bootstrap(engine, suite, own)
    return own


def _unreachable(address: str) -> str:
    try:
        urllib.request.urlopen(address, timeout=5).close()  # noqa: S310
    except urllib.error.HTTPError:
        return ""  # it answers; that it wants a token first is as it should be
    except OSError as error:
        return str(getattr(error, "reason", error))
    return ""


def _bootstrap(engine: Engine, suite: str, tag: str) -> None:
    if not shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        raise LabError("debootstrap is needed where no public image can be pulled: run molecule/lab/prerequisites lab.")
    mirror = mirrors().main
    console.say(f"Bootstrapping Debian {suite} from {mirror} instead (about a minute)")
    root = Path(tempfile.mkdtemp(dir=paths.lab_cache(), prefix="bootstrap-"))
    try:
        # In a mount namespace of its own, what debootstrap mounts ends with it even when it is killed.
        keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
        options = ["--variant=minbase", "--include=ca-certificates", *([f"--keyring={keyring}"] if keyring.exists() else [])]
        console.stream(
            console.as_root(["unshare", "--mount", "/usr/sbin/debootstrap", *options, suite, root, mirror]), f"debootstrap {suite}"
        )
        console.say(f"Importing it as the image {tag}")
        tar = " ".join(console.as_root(["tar", "--create", "--directory", shlex.quote(str(root)), "--one-file-system", "."]))
        pipeline = f"set -o pipefail; {tar} | {shlex.join(engine.command)} import - {tag}"
        console.stream(["bash", "-c", pipeline], f"import {suite}")
    finally:
        console.run(console.as_root(["rm", "-rf", "--one-file-system", root]), check=False)
