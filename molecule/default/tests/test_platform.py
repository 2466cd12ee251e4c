"""One datacenter after `site.yml` and `demo.yml`: asked of Consul, of the apps, and of the hosts."""

from __future__ import annotations

from typing import Any

import pytest

HOSTS = ("consul1", "web1", "web2")
WEBS = ("web1", "web2")
DEMO = {f"{host}:{port}" for host in WEBS for port in (2001, 2002)}


@pytest.mark.parametrize("host", HOSTS)
def test_every_agent_sees_all_others_and_the_leader(lab: Any, host: str) -> None:
    members = lab.api(host, "/v1/agent/members")
    assert {member["Name"]: member["Status"] for member in members} == dict.fromkeys(HOSTS, 1)
    assert lab.api(host, "/v1/status/leader") == f"{lab.address('consul1')}:8300"


def test_the_server_has_ui_and_connect_and_clients_have_neither(lab: Any) -> None:
    assert "<title>Consul" in lab.host("consul1").check_output(
        "python3 -c %s", "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8500/ui/').read().decode())"
    )
    assert lab.api("consul1", "/v1/connect/ca/roots")["Roots"]
    assert not lab.api("web1", "/v1/agent/self")["DebugConfig"]["UIConfig"]["Enabled"]


def test_an_agent_takes_the_connections_of_many_vassals(lab: Any) -> None:
    assert lab.api("web1", "/v1/agent/self")["DebugConfig"]["HTTPMaxConnsPerClient"] == 2000


def test_services_are_run_by_what_the_host_has(lab: Any) -> None:
    for name in ("consul", "uwsgi-emperor"):
        service = lab.host("web1").service(name)
        assert service.is_running
        assert service.is_enabled
        assert lab.host("web2").run(f"/etc/init.d/{name} status").rc == 0
        assert lab.host("web2").file(f"/etc/rc3.d/S01{name}").is_symlink
    assert lab.host("web2").file("/run/systemd/system").exists is False


def test_the_demo_is_found_and_each_server_answers_at_its_registered_address(lab: Any) -> None:
    entries = lab.api("consul1", "/v1/health/service/consul-demo-server?passing=1")
    assert {f"{entry['Node']['Node']}:{entry['Service']['Port']}" for entry in entries} == DEMO
    for entry in entries:
        node, port = entry["Node"]["Node"], entry["Service"]["Port"]
        assert entry["Service"]["ID"] == f"consul-demo-server-{node}-{port}"
        assert entry["Service"]["Tags"] == ["demo"]
        assert {"node": node, "port": port}.items() <= lab.get(node, port).items()
        # The host's own agent has a check's note at once; the catalog takes changes of a note alone every five minutes.
        check = lab.api(node, "/v1/agent/checks")[f"service:consul-demo-server-{node}-{port}"]
        assert "2/2 workers ready" in check["Output"]


def test_the_client_prints_every_server(lab: Any) -> None:
    lines = lab.host("web2").check_output("python3 /opt/consul-demo/client.py --once").splitlines()[1:]
    assert lines == [
        f"consul-demo-server found on node {host} ({lab.address(host)}) using port {port}" for host in WEBS for port in (2001, 2002)
    ]


@pytest.mark.parametrize("host", WEBS)
def test_a_vassal_of_each_format_says_the_same(lab: Any, host: str) -> None:
    entries = [entry["Service"] for entry in lab.api(host, "/v1/health/service/formats?passing=1") if entry["Node"]["Node"] == host]
    assert len(entries) == 4
    described = [entry for entry in entries if entry["Tags"]]
    assert [entry["Tags"] for entry in described] == [["one", "two words"]] * 3
    assert [entry["Meta"]["quote"] for entry in described] == ['say "hi"'] * 3


def test_vassals_run_where_they_belong_and_secrets_are_kept(lab: Any) -> None:
    for name in WEBS:
        host = lab.host(name)
        assert not host.file("/etc/uwsgi/vassals/elsewhere.ini").exists
        secret = host.file("/etc/uwsgi/vassals/secret.ini")
        assert (secret.user, secret.mode) == ("uwsgi", 0o600)
        assert host.file("/etc/uwsgi/vassals/format-ini.ini").mode == 0o640
        assert host.file("/etc/consul.d/consul.json").mode == 0o640


@pytest.mark.parametrize("host", WEBS)
def test_everything_of_uwsgi_runs_as_its_user(lab: Any, host: str) -> None:
    assert {process.user for process in lab.host(host).process.filter(comm="uwsgi")} <= {"uwsgi"}
    assert {process.user for process in lab.host(host).process.filter(comm="consul")} == {"consul"}
