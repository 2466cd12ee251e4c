"""Servers come and go: what discovery says, and how soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DEMO = {f"{host}:{port}" for host in ("web1", "web2") for port in (2001, 2002)}
VASSAL = "/etc/uwsgi/vassals/consul-demo-server2.ini"
# An observer on the host itself measures without the way from here: after its command, it prints the seconds from the moment
# that the server answers (or no longer does) to the moment that discovery says so.
OBSERVE = """
import json, subprocess, sys, time, urllib.request
command, port, wanted = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "found"
def ask(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()
def found():
    answer = json.loads(ask("http://127.0.0.1:8500/v1/health/service/consul-demo-server?passing=1"))
    return any(entry["Service"]["Port"] == port and entry["Node"]["Node"] == sys.argv[4] for entry in answer)
def answers():
    try:
        return bool(ask(f"http://127.0.0.1:{port}/"))
    except OSError:
        return False
subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
while answers() != wanted:
    time.sleep(0.01)
begin = time.monotonic()
while found() != wanted and time.monotonic() - begin < 30:
    time.sleep(0.01)
print(time.monotonic() - begin)
"""


def seconds(lab: Any, name: str, command: str, port: int, wanted: str) -> float:
    return float(lab.host(name).check_output("python3 -c %s %s %s %s %s", OBSERVE, command, str(port), wanted, name))


def test_a_stopped_server_is_gone_within_1_s_and_a_started_one_is_found_within_2_s(lab: Any) -> None:
    assert seconds(lab, "web1", f"mv {VASSAL} /root/", 2002, "gone") <= 1
    assert lab.instances("consul1", "consul-demo-server") == DEMO - {"web1:2002"}
    assert seconds(lab, "web1", f"mv /root/consul-demo-server2.ini {VASSAL}", 2002, "found") <= 2


def test_stopping_the_emperor_takes_its_servers_out_of_discovery(lab: Any, until: Callable[..., float]) -> None:
    for name, stop, start in (
        ("web1", "systemctl stop uwsgi-emperor", "systemctl start uwsgi-emperor"),
        ("web2", "/etc/init.d/uwsgi-emperor stop", "/etc/init.d/uwsgi-emperor start"),
    ):
        assert seconds(lab, name, stop, 2001, "gone") <= 1
        registered = lab.api(name, "/v1/agent/services")
        assert registered == {}
        assert seconds(lab, name, start, 2001, "found") <= 2
    until(lambda: lab.instances("consul1", "consul-demo-server") == DEMO, 10)


def test_a_killed_uwsgi_is_gone_within_its_ttl(lab: Any, until: Callable[..., float]) -> None:
    killed = "systemctl kill --signal=KILL uwsgi-emperor; systemctl stop uwsgi-emperor"
    assert seconds(lab, "web1", killed, 2001, "gone") <= 3.5  # the TTL of 3 s, and Consul's timer
    assert lab.instances("consul1", "consul-demo-server") == {"web2:2001", "web2:2002"}
    assert seconds(lab, "web1", "systemctl start uwsgi-emperor", 2001, "found") <= 2
    until(lambda: lab.instances("consul1", "consul-demo-server") == DEMO, 10)


def test_a_killed_emperor_comes_back_by_itself(lab: Any, until: Callable[..., float]) -> None:
    lab.host("web1").check_output("systemctl kill --signal=KILL uwsgi-emperor")
    until(lambda: lab.host("web1").service("uwsgi-emperor").is_running, 15)
    until(lambda: lab.instances("consul1", "consul-demo-server") == DEMO, 15)


def test_a_restart_of_the_agent_is_no_gap(lab: Any, until: Callable[..., float]) -> None:
    # From a host whose agent stays, and which has the library.
    watch = "until [ -e /root/stop ]; do python3 /opt/consul-demo/client.py --once; done > /root/watched; rm /root/stop"
    lab.host("web2").check_output("rm -f /root/stop; setsid sh -c %s >/dev/null 2>&1 &", watch)
    lab.host("web1").check_output("systemctl restart consul")
    until(lambda: lab.api("web1", "/v1/status/leader") != "", 20)
    until(lambda: lab.instances("web1", "consul-demo-server") == DEMO, 20)
    lab.host("web2").check_output("touch /root/stop")
    until(lambda: not lab.host("web2").file("/root/stop").exists, 10)
    heads = [line for line in lab.host("web2").check_output("cat /root/watched").splitlines() if line.startswith("---")]
    assert len(heads) > 5
    assert [head for head in heads if not head.endswith(", 4 found")] == []
