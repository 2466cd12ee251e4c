"""Services from Ansible: one task of ours against loops of community.general's module, as whole runs of `ansible-playbook`."""

from __future__ import annotations

from typing import Any

from . import peer
from .kit import Lab, median, say, scaled, spread, table, verdict

SERVICES, ROUNDS, LEAST_RATIO = 100, 5, 50
EMPTY = {"name": "Nothing", "ansible.builtin.debug": {"msg": ""}}


def ours(count: int, port: int) -> dict[str, Any]:
    """Services with two checks each. port: of the first."""
    services = [
        {
            "name": f"ours-{number}",
            "port": port + number,
            "tags": ["v1"],
            "checks": [{"tcp": f"127.0.0.1:{port + number}", "interval": "600s"}, {"ttl": "3600s"}],
        }
        for number in range(count)
    ]
    return {"name": "Services", "uwsgi.consul.consul_service": {"services": services}}


def theirs(count: int, port: int, host: str, agent_port: int) -> list[dict[str, Any]]:
    """The same; the peer's module takes one check with a service, so that the other one is a task of its own, by another module."""
    of_all = {"host": host, "port": agent_port}
    numbers = list(range(count))
    service = {"service_name": "theirs-{{ item }}", "service_port": f"{{{{ item + {port} }}}}", "tags": ["v1"], "ttl": "3600s"}
    check = {"id": "theirs-{{ item }}-tcp", "name": "tcp", "service_id": "theirs-{{ item }}", "interval": "600s"}
    check["tcp"] = f"127.0.0.1:{{{{ item + {port} }}}}"
    return [
        {"name": "Services", "community.general.consul": {**service, **of_all}, "loop": numbers},
        {"name": "Checks", "community.general.consul_agent_check": {**check, **of_all}, "loop": numbers},
    ]


def run(lab: Lab) -> None:
    agent = lab.agent()
    host, _colon, agent_port = agent.address.rpartition(":")
    place = lab.place("plays")
    say(f"community.general {peer.version()} with python-consul2: it crashes with py-consul")
    count, rounds = scaled(SERVICES, 2), scaled(ROUNDS)
    empty = median([peer.play(place, [EMPTY], agent.address).seconds for _ in range(rounds)])
    measured: dict[str, list[float]] = {"registered": [], "unchanged": []}
    for number in range(rounds):
        for moment, seconds in measured.items():
            done = peer.play(place, [ours(count, 10000 + 1000 * number)], agent.address)
            if done.changed != (moment == "registered"):
                raise RuntimeError(f"{count} services, {moment}: {done}")
            seconds.append(done.seconds)
    registered = [name for name in agent.get("/v1/agent/services") if name.startswith("ours-")]
    if len(registered) != count or len(agent.get("/v1/agent/checks")) != 2 * count:
        raise RuntimeError(f"{len(registered)} services are there")
    rows = []
    for moment, seconds in measured.items():
        loop = peer.play(place, theirs(count, 20000, host, int(agent_port)), agent.address, library="python-consul2")
        ratio, net = loop.seconds / median(seconds), (loop.seconds - empty) / (median(seconds) - empty)
        took = f"{median(seconds):.2f} ({spread(seconds)})"
        bound = verdict(net >= LEAST_RATIO, f"{LEAST_RATIO} times")
        rows.append([moment, f"{loop.seconds:.1f}", str(loop.changed), took, f"{ratio:.0f}", f"{net:.0f}", bound])
    say(f"a play that does nothing takes {empty:.2f} s")
    head = ["services", "peer's loops: s", "changed", "ours: s (quartiles)", "ratio", "ratio without what an empty play takes", "bound"]
    table(f"{count} services with two checks each", head, rows)
