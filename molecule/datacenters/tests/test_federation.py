"""Two datacenters that know each other, after `site.yml` from the installed artifact where `make` gave one."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SERVERS = {"dc1": "consul1", "dc2": "consul2"}
DEMO = {
    "dc1": {f"{host}:{port}" for host in ("web1", "web2") for port in (2001, 2002)},
    "dc2": {f"web3:{port}" for port in (2001, 2002)},
}


@pytest.mark.parametrize("datacenter", SERVERS)
def test_a_server_sees_both_datacenters_over_wan_and_only_its_own_over_lan(lab: Any, until: Callable[..., float], datacenter: str) -> None:
    server = SERVERS[datacenter]
    until(lambda: sorted(lab.api(server, "/v1/catalog/datacenters")) == ["dc1", "dc2"], 60)
    wan = {member["Name"]: member["Status"] for member in lab.api(server, "/v1/agent/members?wan=1")}
    assert wan == {"consul1.dc1": 1, "consul2.dc2": 1}
    lan = {member["Name"] for member in lab.api(server, "/v1/agent/members")}
    assert lan == {"dc1": {"consul1", "web1", "web2"}, "dc2": {"consul2", "web3"}}[datacenter]


@pytest.mark.parametrize("observer", ["web1", "web3"])
@pytest.mark.parametrize("datacenter", SERVERS)
def test_servers_of_both_datacenters_are_found_from_each(lab: Any, observer: str, datacenter: str) -> None:
    assert lab.instances(observer, "consul-demo-server", datacenter) == DEMO[datacenter]


def test_the_client_prints_the_servers_of_every_datacenter(lab: Any) -> None:
    lines = lab.host("web3").check_output("python3 /opt/consul-demo/client.py --once").splitlines()[1:]
    assert lines == [
        f"consul-demo-server found on node {host} ({lab.address(host)}) using port {port}"
        for host in ("web1", "web2", "web3")
        for port in (2001, 2002)
    ]


@pytest.mark.parametrize("name", ["consul_service", "uwsgi.consul.consul_service"])
def test_a_template_finds_the_servers_of_another_datacenter(lab: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "servers.j2").write_text(
        "{% for server in lookup('"
        + name
        + "', 'consul-demo-server', datacenter='dc2') %}{{ server.address }}:{{ server.port }} {% endfor %}"
    )
    environment = lab.environment | {"CONSUL_HTTP_ADDR": f"{lab.address('consul1')}:8500"}
    arguments = f"src={tmp_path}/servers.j2 dest={tmp_path}/servers"
    command = ["ansible", "localhost", "-m", "ansible.builtin.template", "-a", arguments]
    run = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "servers").read_text().split() == [f"{lab.address('web3')}:2001", f"{lab.address('web3')}:2002"]


def test_a_server_that_stops_is_gone_in_the_other_datacenter_too(lab: Any, until: Callable[..., float]) -> None:
    lab.host("web3").check_output("mv /etc/uwsgi/vassals/consul-demo-server1.ini /root/")
    until(lambda: lab.instances("web1", "consul-demo-server", "dc2") == {"web3:2002"}, 10)
    lab.host("web3").check_output("mv /root/consul-demo-server1.ini /etc/uwsgi/vassals/")
    until(lambda: lab.instances("web1", "consul-demo-server", "dc2") == DEMO["dc2"], 10)


def test_the_plugin_was_built_once_for_each_uwsgi(lab: Any) -> None:
    builds = {
        host: lab.host(host).check_output("readlink /usr/local/lib/uwsgi/plugins/consul_plugin.so") for host in ("web1", "web2", "web3")
    }
    assert builds["web1"] == builds["web2"] != builds["web3"]
    assert not lab.host("web2").package("uwsgi-dev").is_installed


def test_one_datacenter_alone_is_left_alone_by_a_play_for_the_other(lab: Any) -> None:
    run = lab.play("site", datacenter="dc2")
    assert run.returncode == 0, run.stdout
    recap = run.stdout[run.stdout.index("PLAY RECAP") :]
    assert set(re.findall(r"^(\w+) +: ok=.* changed=0 ", recap, re.MULTILINE)) == {"localhost", "consul2", "web3"}
    assert recap.count("changed=") == 3


def test_a_datacenter_set_for_the_wrong_group_is_refused(lab: Any) -> None:
    run = lab.play("site", datacenter="dc2", consul_datacenter="dc1")
    assert run.returncode != 0
    assert 'consul_datacenter is "dc1" for servers outside of the group dc2 too (consul1)' in " ".join((run.stdout + run.stderr).split())


@pytest.mark.skipif("ANSIBLE_COLLECTIONS_PATH" not in os.environ, reason="only make gives this scenario the installed artifact")
def test_the_playbooks_ran_from_the_artifact() -> None:
    listing = subprocess.run(["ansible-galaxy", "collection", "list", "--format", "json"], check=True, capture_output=True)
    paths = [path for path, found in json.loads(listing.stdout).items() if "uwsgi.consul" in found]
    assert paths
    assert not (Path(paths[0]) / "uwsgi/consul/molecule").exists()
