"""Apps in six languages after `deploy.yml`: each finds all, and sets a key by what its binding has."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

SOURCES = Path(__file__).parents[3] / "roles/uwsgi/files/plugins"
HOSTS = ("web1", "web2")
PORTS = {"python": 2101, "perl": 2102, "ruby": 2103, "php": 2104, "lua": 2105, "go": 2106}
ALL = {f"{host}:{port}" for host in HOSTS for port in PORTS.values()}
WITHOUT_RPC = ("php", "lua", "go")


def listed(lab: Any, host: str, language: str) -> set[str]:
    """The servers that an app lists, as `node:port`; none when it does not know them yet."""
    return {f"{server['node']}:{server['port']}" for server in lab.get(host, PORTS[language])["found"] or []}


def answers(lab: Any, host: str, language: str) -> bool:
    try:
        return bool(lab.get(host, PORTS[language]))
    except OSError:
        return False


def test_every_app_registers_with_its_language(lab: Any, until: Callable[..., float]) -> None:
    until(lambda: lab.instances("consul1", "languages") == ALL, 30)
    entries = lab.api("consul1", "/v1/health/service/languages?passing=1")
    found = {(entry["Node"]["Node"], entry["Service"]["Port"], entry["Service"]["Meta"]["language"]) for entry in entries}
    assert found == {(host, port, language) for host in HOSTS for language, port in PORTS.items()}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("language", PORTS)
def test_every_language_lists_the_servers_of_all(lab: Any, until: Callable[..., float], host: str, language: str) -> None:
    until(lambda: listed(lab, host, language) == ALL, 5)
    answer = lab.get(host, PORTS[language])
    assert answer["language"] == language
    assert [set(server) for server in answer["found"]] == [{"node", "address", "port"}] * len(ALL)
    assert {(server["node"], server["address"]) for server in answer["found"]} == {(name, lab.address(name)) for name in HOSTS}


@pytest.mark.parametrize("gone", ["perl", "go"])
def test_a_server_that_stops_is_in_no_list_within_2_s_and_one_that_starts_in_all(lab: Any, until: Callable[..., float], gone: str) -> None:
    others = [(host, language) for host in HOSTS for language in PORTS if (host, language) != ("web1", gone)]
    lab.host("web1").check_output("mv /etc/uwsgi/vassals/languages-%s.ini /root/", gone)
    try:
        until(lambda: not answers(lab, "web1", gone), 15)
        until(lambda: all(listed(lab, host, language) == ALL - {f"web1:{PORTS[gone]}"} for host, language in others), 2)
    finally:
        lab.host("web1").check_output("mv /root/languages-%s.ini /etc/uwsgi/vassals/", gone)
    until(lambda: answers(lab, "web1", gone), 15)
    until(lambda: all(listed(lab, host, language) == ALL for host in HOSTS for language in PORTS), 2)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("language", PORTS)
def test_every_language_sets_a_key(lab: Any, host: str, language: str) -> None:
    key, value = f"languages/{host}/{language} é", f"by {language} & co"
    answer = lab.get(host, PORTS[language], "/set?" + urlencode({"key": key, "value": value}))
    assert answer == {"language": language, "result": True} | ({"rpc": False} if language in WITHOUT_RPC else {})
    stored = lab.api("consul1", f"/v1/kv/{quote(key)}")
    assert base64.b64decode(stored[0]["Value"]).decode() == value


@pytest.mark.parametrize("host", HOSTS)
def test_a_program_that_dies_is_started_again(lab: Any, until: Callable[..., float], host: str) -> None:
    before = lab.host(host).check_output("pidof languages-go")
    lab.host(host).check_output("kill -KILL %s", before)
    until(lambda: lab.host(host).run("pidof languages-go").stdout.strip() not in ("", before), 10)
    until(lambda: answers(lab, host, "go") and listed(lab, host, "go") == ALL, 10)


@pytest.mark.parametrize("host", HOSTS)
def test_a_program_that_a_reload_ends_is_in_no_list_until_it_is_back(lab: Any, until: Callable[..., float], host: str) -> None:
    before = lab.host(host).check_output("pidof languages-go")
    lab.host(host).check_output("touch /etc/uwsgi/vassals/languages-go.ini")
    until(lambda: f"{host}:2106" not in listed(lab, host, "python"), 15)
    until(lambda: f"{host}:2106" in listed(lab, host, "python"), 15)
    assert lab.host(host).check_output("pidof languages-go") != before
    assert listed(lab, host, "go")


def test_the_plugin_builds_without_a_warning_on_debian_13(lab: Any, tmp_path: Path) -> None:
    """Its compiler and uWSGI are others than those of the machine that runs the tests; the role builds without -Werror."""
    host = lab.host("web2")
    assert host.system_info.codename == "trixie"
    archive = tmp_path / "sources.tar.gz"
    subprocess.run(["tar", "-czf", str(archive), "-C", str(SOURCES), "consul"], check=True)
    lab.module("web2", "ansible.builtin.apt", "name=uwsgi-dev,libcurl4-openssl-dev,libjansson-dev install_recommends=false")
    lab.module("web2", "ansible.builtin.unarchive", f"src={archive} dest=/root")
    flags = "-Werror -Wshadow -Wunused-parameter -Wmissing-field-initializers"
    built = host.run("cd /root && PYTHON=python3 UWSGI_CONSUL_CFLAGS=%s uwsgi --build-plugin consul", flags)
    assert built.rc == 0, built.stdout + built.stderr
    assert "warning:" not in built.stdout + built.stderr
    assert host.run("uwsgi --need-plugin /root/consul_plugin.so --version").rc == 0
