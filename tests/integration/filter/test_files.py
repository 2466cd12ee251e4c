# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What filters write, as nginx, HAProxy and uWSGI themselves read it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from integration.plugin.conftest import PYPI_VERSIONS, debian_binary, pypi_binary

from ansible_collections.uwsgi.consul.plugins.filter.consul_upstreams import consul_upstreams
from ansible_collections.uwsgi.consul.plugins.filter.uwsgi_config import uwsgi_config


def program(name):
    # Neither needs to be in the path of users who are not root.
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found and not os.environ.get("CI"):
        # Installing them would start servers on somebody's machine; CI has a machine of its own.
        pytest.skip(f"no {name}: apt-get install nginx-light haproxy")
    assert found, f"no {name}, which `molecule/lab/prerequisites proxies` installs"
    return found


def instance(number, **fields):
    weights = {"passing": 10, "warning": 1}
    return {
        "node": "web",
        "id": f"shop/{number}",
        "address": f"10.0.0.{number}",
        "port": 80,
        "status": "passing",
        "weights": weights,
        **fields,
    }


INSTANCES = [
    instance(1),
    instance(2, status="warning"),
    instance(3, address="fd00::1"),
    instance(4, address="localhost"),
    instance(5, weights={"passing": 65535}),
    instance(6, status="maintenance"),
    instance(7, node="a {b};\n#", id="shop_1"),
    instance(8, id="shop.1"),
]


def nginx(directory, lines):
    """What nginx says of an upstream of these lines."""
    shop = f"upstream shop {{\n{lines}\n}} server {{ location / {{ proxy_pass http://shop; }} }}"
    (directory / "nginx.conf").write_text(f"pid {directory}/pid; error_log stderr; events {{}}\nhttp {{ access_log off; {shop} }}")
    command = [program("nginx"), "-t", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_nginx_takes_the_servers(tmp_path):
    lines = consul_upstreams(INSTANCES, options="max_fails=2 fail_timeout=5s")
    assert len(lines) == 7
    done = nginx(tmp_path, "\n".join(lines))
    assert done.returncode == 0, done.stderr
    # It would say so of what it does not take.
    assert nginx(tmp_path, "server 10.0.0.1:80 weight=0;").returncode != 0


def test_nginx_takes_a_server_in_place_of_none(tmp_path):
    done = nginx(tmp_path, "server 127.0.0.1:9 down;")
    assert done.returncode == 0, done.stderr


def test_haproxy_takes_the_servers(tmp_path):
    lines = consul_upstreams(INSTANCES, "haproxy", options="check inter 5s")
    file = tmp_path / "haproxy.cfg"
    start = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nlisten shop\n  bind 127.0.0.1:1\n  "

    def check(servers):
        file.write_text(start + "\n  ".join(servers) + "\n")
        return subprocess.run([program("haproxy"), "-c", "-f", str(file)], capture_output=True, text=True, timeout=30, check=False)

    done = check(lines)
    assert done.returncode == 0, done.stdout + done.stderr
    assert check([*lines, lines[0]]).returncode != 0
    assert check(["server a 10.0.0.1:80 weight 257"]).returncode != 0


# What YAML takes without quotes, in either of uWSGI's parsers.
PLAIN = ["a", "a b", "a;b", "a ; b", "a=b", "a = b", "=a", "a:b", "true", "false", "0", "1.50", "null", "//a", "a,b", "/srv/shop/app.py"]
ODD = [";a", "#a", "a # b", '"a"', "'a'", "a: b", "{a}", "[a]", "a\\nb", "a\\", "<a>&amp;", "é ☃", "~", "- a", "@x", "|", "*a", "&a", "$x"]
PERCENT = ["100%", "50% off", "%n", "%%", "a%", '%"', "%<", "%\\", "%é"]


@pytest.fixture(scope="session", params=["debian", *PYPI_VERSIONS])
def uwsgi(request):
    """A uWSGI; those from PyPI read YAML by a parser of their own."""
    return debian_binary() if request.param == "debian" else pypi_binary(PYPI_VERSIONS[request.param])


@pytest.mark.parametrize("form", ["ini", "yml", "xml", "json"])
def test_uwsgi_reads_what_was_given(uwsgi, form, tmp_path):
    values = PLAIN if form == "yml" else [*PLAIN, *ODD, *PERCENT]
    options = {"procname": "shop", "env": [f"V{number}={value}" for number, value in enumerate(values)], "procname-prefix": values}
    file = tmp_path / f"shop.{form}"
    file.write_text(uwsgi_config(options, form, literal=True))
    flag = "--yaml" if form == "yml" else f"--{form}"
    done = subprocess.run([uwsgi, flag, str(file), "--show-config"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    said = (done.stdout + done.stderr).decode()
    shown = said.partition("[uwsgi]\n")[2].partition(";end of configuration")[0].splitlines()
    read = [tuple(line.split(" = ", 1)) for line in shown]
    wanted = [(name, str(value)) for name, given in options.items() for value in (given if isinstance(given, list) else [given])]
    assert [entry for entry in read if entry[0] in options] == wanted, said


def test_uwsgi_replaces_magic_variables_where_it_may(uwsgi, tmp_path):
    file = tmp_path / "shop.ini"
    file.write_text(uwsgi_config({"procname": "%n of 100%%"}))
    done = subprocess.run(
        [uwsgi, "--ini", str(file), "--show-config"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    assert "procname = shop of 100%\n" in done.stdout + done.stderr
