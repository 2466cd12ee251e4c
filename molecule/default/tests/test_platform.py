"""One datacenter after `site.yml` and `demo.yml`: asked of Consul, of the apps, and of the hosts."""

from __future__ import annotations

from collections.abc import Callable
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


ATTACHED_APP = """
import json
import uwsgi
import uwsgi_consul

def application(environ, start_response):
    found = [f"{one['node']}:{one['port']}" for one in uwsgi.consul_service(name="consul-demo-server")]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"found": found, "library": uwsgi_consul.__file__}).encode()]
"""
# As somebody writes it by hand: strict, and without a word of where the library lies.
ATTACHED_VASSAL = """
[uwsgi]
{python}
need-plugin = consul
strict = true
http-socket = :2500
wsgi-file = /opt/attached.py
import = uwsgi_consul.attach
"""


@pytest.mark.parametrize("name", WEBS)
def test_the_app_of_a_vassal_has_the_library_and_its_functions(lab: Any, until: Callable[..., float], name: str) -> None:
    host = lab.host(name)
    # Debian's uWSGI has Python as a plugin, PyPI's has it built in.
    vassal = ATTACHED_VASSAL.format(python="need-plugin = python3" if name == "web1" else "")
    host.check_output("printf %s %s > /opt/attached.py", "%s", ATTACHED_APP)
    host.check_output("printf %s %s > /etc/uwsgi/vassals/attached.ini", "%s", vassal)
    try:
        until(lambda: answers(lab, name, 2500), 20)
        answer = lab.get(name, 2500)
        assert set(answer["found"]) == DEMO
        version = host.check_output("readlink /usr/local/lib/uwsgi-consul/current")
        assert answer["library"] == f"/usr/local/lib/uwsgi-consul/{version}/uwsgi_consul/__init__.py"
        # Compiled before, and nothing that the app's user could change.
        assert host.check_output("find /usr/local/lib/uwsgi-consul ! -user root -o -perm /022 ! -type l") == ""
        assert host.file(f"/usr/local/lib/uwsgi-consul/{version}/uwsgi_consul/__pycache__").is_directory
    finally:
        host.check_output("rm /etc/uwsgi/vassals/attached.ini /opt/attached.py")


def answers(lab: Any, name: str, port: int) -> bool:
    try:
        return bool(lab.get(name, port))
    except OSError:
        return False


def test_a_library_that_was_changed_is_made_whole_again(lab: Any) -> None:
    host = lab.host("web1")
    library = "/usr/local/lib/uwsgi-consul/current/uwsgi_consul"
    host.check_output(f"echo > {library}/stale.py && echo 1 >> {library}/api.py")
    before = host.check_output(f"sha1sum {library}/errors.py")
    checked = lab.play("uwsgi", "--limit", "web1", "--tags", "uwsgi_library", "--check")
    assert checked.returncode == 0, checked.stdout
    assert "stale.py" in checked.stdout
    assert host.file(f"{library}/stale.py").exists
    for changed in (True, False):
        run = lab.play("uwsgi", "--limit", "web1", "--tags", "uwsgi_library")
        assert run.returncode == 0, run.stdout
        assert ("changed=0" not in run.stdout) is changed
    assert not host.file(f"{library}/stale.py").exists
    assert not host.check_output(f"tail -n 1 {library}/api.py").startswith("1")
    assert host.check_output(f"sha1sum {library}/errors.py") == before
