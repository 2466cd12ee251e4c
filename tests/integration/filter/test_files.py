# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What filters write, as nginx, HAProxy and uWSGI themselves read it."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from integration.plugin.conftest import PYPI_VERSIONS, debian_binary, pypi_binary
from polling import wait_for

import plays
from ansible_collections.uwsgi.consul.plugins.filter.consul_upstreams import consul_upstreams
from ansible_collections.uwsgi.consul.plugins.filter.uwsgi_config import uwsgi_config

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs/guide/ansible-templates.md"


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


def nginx(directory, text):
    """What nginx says of a configuration for HTTP."""
    file = directory / "nginx.conf"
    file.write_text(f"pid {directory}/pid; error_log stderr; events {{}}\nhttp {{ access_log off;\n{text} }}")
    command = [program("nginx"), "-t", "-p", str(directory), "-c", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def upstream(*lines):
    return "\n".join(["upstream shop {", *lines, "} server { location / { proxy_pass http://shop; } }"])


def haproxy(directory, text):
    """What HAProxy says of a configuration."""
    file = directory / "haproxy.cfg"
    start = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nfrontend web\n  bind 127.0.0.1:1\n"
    file.write_text(f"{start}  default_backend shop\n{text}\n")
    return subprocess.run([program("haproxy"), "-c", "-f", str(file)], capture_output=True, text=True, timeout=30, check=False)


def backend(*lines):
    return "\n  ".join(["backend shop", *lines])


def test_nginx_takes_the_servers(tmp_path):
    lines = consul_upstreams(INSTANCES, options="max_fails=2 fail_timeout=5s")
    assert len(lines) == 7
    done = nginx(tmp_path, upstream(*lines))
    assert done.returncode == 0, done.stderr
    # It would say so of what it does not take.
    assert nginx(tmp_path, upstream("server 10.0.0.1:80 weight=0;")).returncode != 0


def test_haproxy_takes_the_servers(tmp_path):
    lines = consul_upstreams(INSTANCES, "haproxy", options="check inter 5s")
    done = haproxy(tmp_path, backend(*lines))
    assert done.returncode == 0, done.stdout + done.stderr
    assert haproxy(tmp_path, backend(*lines, lines[0])).returncode != 0
    assert haproxy(tmp_path, backend("server a 10.0.0.1:80 weight 257")).returncode != 0


def test_the_templates_of_the_guide(consul, tmp_path):
    """Rendered by Ansible, for a service with two instances and for one that there is not."""
    for number, status in ((1, "passing"), (2, "warning")):
        check = {"TTL": "10m", "Status": status}
        registration = {"ID": f"templates-{number}", "Name": "templates", "Port": 2000 + number, "Weights": {"Passing": 10, "Warning": 1}}
        consul.put("/v1/agent/service/register", registration | {"Check": check})
    first, _failing, refusing, proxied = re.findall(r"```jinja\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    refusing += "    {{ server }}\n{% endfor %}\n"
    message = {}
    for name, service, text in (("nginx", "templates", first), ("none", "no-such-service", refusing), ("haproxy", "templates", proxied)):
        assert "'shop'" in text
        (tmp_path / f"{name}.j2").write_text(text.replace("'shop'", f"'{service}'"))
        message[name] = f"{{{{ lookup('ansible.builtin.template', '{tmp_path}/{name}.j2') }}}}"

    def statuses():
        return sorted(entry["Checks"][-1]["Status"] for entry in consul.get("/v1/health/service/templates"))

    # What was registered at the agent is in the catalog a moment later.
    wait_for("both instances", lambda: statuses() == ["passing", "warning"])
    arguments = ["localhost", "-m", "ansible.builtin.debug", "-a", json.dumps({"msg": message})]
    own = {"CONSUL_HTTP_ADDR": consul.address, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = plays.run("ansible", *arguments, folder=tmp_path, own=own)
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(done.stdout.partition("=> ")[2])["msg"]
    for service in ("templates-1", "templates-2"):
        consul.put(f"/v1/agent/service/deregister/{service}")
    assert re.findall(r" +server .*", written["nginx"]) == ["    server 127.0.0.1:2001 weight=10;", "    server 127.0.0.1:2002 weight=1;"]
    done = nginx(tmp_path, f"{written['nginx']} server {{ location / {{ proxy_pass http://shop; }} }}")
    assert done.returncode == 0, done.stderr
    done = nginx(tmp_path, upstream(written["none"]))
    assert done.returncode == 0, done.stderr
    done = haproxy(tmp_path, written["haproxy"])
    assert done.returncode == 0, done.stdout + done.stderr


# What YAML takes without quotes, in either of uWSGI's parsers.
PLAIN = ["a", "a b", "a;b", "a ; b", "a=b", "a = b", "=a", "a:b", "true", "false", "0", "1.50", "null", "//a", "a,b", "/srv/shop/app.py"]
ODD = [";a", "#a", "a # b", '"a"', "'a'", "a: b", "{a}", "[a]", "a\\nb", "a\\", "<a>&amp;", "é ☃", "~", "- a", "@x", "|", "*a", "&a", "$x"]
PERCENT = ["100%", "50% off", "%n", "%%", "a%", '%"', "%<", "%\\", "%é"]


@pytest.fixture(scope="session", params=["debian", *PYPI_VERSIONS])
def uwsgi(request):
    """A uWSGI; those from PyPI read YAML by a parser of their own."""
    return debian_binary() if request.param == "debian" else pypi_binary(PYPI_VERSIONS[request.param])


def shown(uwsgi, file):
    """The options as uWSGI shows them once it has read the file, without those of the command line."""
    flag = {".yml": "--yaml"}.get(file.suffix, f"--{file.suffix[1:]}")
    done = subprocess.run([uwsgi, flag, str(file), "--show-config"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    lines = (done.stdout + done.stderr).decode().partition("[uwsgi]\n")[2].partition(";end of configuration")[0].splitlines()
    return [tuple(line.split(" = ", 1)) for line in lines if not line.startswith((flag[2:] + " = ", "show-config"))]


def read_back(uwsgi, form, values, directory):
    options = {"procname": "shop", "env": [f"V{number}={value}" for number, value in enumerate(values)], "procname-prefix": values}
    file = directory / f"shop.{form}"
    file.write_text(uwsgi_config(options, form, literal=True))
    wanted = [("procname", "shop"), *(("env", value) for value in options["env"]), *(("procname-prefix", value) for value in values)]
    assert shown(uwsgi, file) == wanted


@pytest.mark.parametrize("form", ["ini", "yml", "xml", "json"])
def test_uwsgi_reads_what_was_given(uwsgi, form, tmp_path):
    read_back(uwsgi, form, PLAIN if form == "yml" else [*PLAIN, *ODD, *PERCENT], tmp_path)


@pytest.mark.parametrize("form", ["ini", "xml", "json"])
def test_uwsgi_reads_whatever_was_given(uwsgi, form, tmp_path):
    chance = random.Random(form)  # noqa: S311 - the same values in every run
    signs = string.ascii_letters + string.digits + string.punctuation * 3 + "  éß☃"
    values = {"".join(chance.choices(signs, k=chance.randint(1, 30))).strip() for _ in range(300)}
    # The filter refuses placeholders where values are literal.
    read_back(uwsgi, form, sorted(value for value in values if value and not re.search(r"[@$%]\(", value)), tmp_path)


def test_uwsgi_replaces_magic_variables_where_it_may(uwsgi, tmp_path):
    file = tmp_path / "shop.ini"
    file.write_text(uwsgi_config({"procname": "%n of 100%%"}))
    assert shown(uwsgi, file) == [("procname", "shop of 100%")]
