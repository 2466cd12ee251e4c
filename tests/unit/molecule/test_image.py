"""What of this machine goes into an image, so that its hosts reach the same registries."""

from __future__ import annotations

import pytest
from labkit import image
from labkit.image import Mirrors

DEB822 = """# a comment with URIs: http://commented/debian
Types: deb
URIs: https://near/debian/
Suites: trixie trixie-updates
Components: main contrib

Types: deb
URIs: https://near/debian-security
Suites: trixie-security
Components: main
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Mirrors()),
        ("# deb http://old/debian bookworm main\ndeb http://near/debian/ bookworm main\n", Mirrors("http://near/debian")),
        (
            "deb [signed-by=/x arch=amd64] http://near/debian-security bookworm-security main",
            Mirrors(security="http://near/debian-security"),
        ),
        (DEB822, Mirrors("https://near/debian", "https://near/debian-security")),
        # Other vendors' and other distributions' sources are no mirror of Debian.
        ("deb https://download.docker.com/linux/debian bookworm stable", Mirrors()),
        ("deb https://apt.releases.hashicorp.com bookworm main", Mirrors()),
        ("deb http://archive.ubuntu.com/ubuntu noble main", Mirrors()),
        ("deb cdrom:[Debian]/debian bookworm main", Mirrors()),
    ],
)
def test_the_mirror_is_the_machines_own(text: str, found: Mirrors) -> None:
    assert Mirrors.of_sources([text]) == found


def test_sources_of_a_suite() -> None:
    assert Mirrors("http://m/debian", "http://m/debian-security").sources_list("trixie").splitlines() == [
        "deb http://m/debian trixie main",
        "deb http://m/debian trixie-updates main",
        "deb http://m/debian-security trixie-security main",
    ]


def test_apts_proxies_and_dates_and_nothing_else() -> None:
    dump = [
        'APT::Architecture "amd64";',
        'Acquire::http::Proxy "http://proxy:3128";',
        'Acquire::https::Proxy::deb.debian.org "DIRECT";',
        'Acquire::http::Proxy-Auto-Detect "/usr/bin/detect";',
        'Acquire::Check-Date "false";',
        'Acquire::https "";',
    ]
    assert image.apt_settings(dump).splitlines() == [dump[1], dump[2], dump[4]]


def test_pips_index_and_authorities() -> None:
    listing = ":env:.disable-pip-version-check='1'\n:env:.index-url='https://index/simple'\nglobal.trusted-host='index'\nglobal.cert='/home/me/ca.pem'\n"
    assert image.pip_settings(listing, private_authorities=False) == "[global]\nindex-url = https://index/simple\ntrusted-host = index\n"
    assert "cert = /etc/ssl/certs/ca-certificates.crt\n" in image.pip_settings("", private_authorities=True)
