"""A template with the instances of 20 services: connections, requests and time, against the lookup `url` on Consul's API."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from .discovery import register
from .kit import Lab, median, say, scaled, spread, table, verdict
from .traffic import CountingProxy

ROOT = Path(__file__).parents[2]
SERVICES, ROUNDS, REPEATED = 20, 7, 20
OURS = "lookup('uwsgi.consul.consul_service', service)"
THEIRS = "lookup('ansible.builtin.url', 'http://%s/v1/health/service/' ~ service ~ '?passing=1', split_lines=false) | from_json"
TEMPLATE = """upstream all {
{%% for round in range(%(rounds)d) %%}{%% for service in services %%}{%% for instance in %(lookup)s %%}
server {{ %(address)s }};{%% endfor %%}{%% endfor %%}{%% endfor %%}
"""
OUR_ADDRESS, THEIR_ADDRESS = "instance.address", "instance.Service.Address or instance.Node.Address"
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        rendered: "{{ lookup('ansible.builtin.template', template) }}"
    - ansible.builtin.debug:
        msg: "{{ rendered.count('server ') }} servers"
"""


def render(lab: Lab, template: str) -> tuple[float, int]:
    """Seconds of the whole command, and how many servers were found."""
    place = lab.place("lookups")
    (place / "template.j2").write_text(template)
    (place / "play.yml").write_text(PLAY)
    services = "{services: [%s]}" % ", ".join(f"looked-up-{number}" for number in range(SERVICES))  # noqa: UP031
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-e", services, "-e", f"template={place}/template.j2"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CONSUL_", "ANSIBLE_"))}
    environ |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
    started = time.perf_counter()
    done = subprocess.run([*command, str(place / "play.yml")], env=environ, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"Ansible failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return taken, int(done.stdout.partition(" servers")[0].rpartition(" ")[2].strip("'\""))


def run(lab: Lab) -> None:
    agent, rounds, repeated = lab.agent(), scaled(ROUNDS, 2), scaled(REPEATED, 2)
    for number in range(SERVICES):
        register(agent, f"looked-up-{number}", 3)
    counted: dict[str, tuple[int, int]] = {}
    taken: dict[str, list[float]] = {"ours": [], "url": [], "none": []}
    for number in range(rounds):
        for name in taken:
            with contextlib.closing(CountingProxy(agent)) as proxy:
                lookup, address = (OURS, OUR_ADDRESS) if name != "url" else (THEIRS % proxy.address, THEIR_ADDRESS)
                if name == "ours":
                    lookup = lookup.replace("service)", f"service, agents=['{proxy.address}'])")
                many = 0 if name == "none" else repeated
                seconds, servers = render(lab, TEMPLATE % {"rounds": many, "lookup": lookup, "address": address})
                assert servers == many * SERVICES * 3, servers
                counted[name] = proxy.opened, proxy.requests
            taken[name].append(seconds)
        say(f"round {number + 1}: done")
    # Without Ansible's own start, which a play without lookups tells.
    each = {name: (median(taken[name]) - median(taken["none"])) / repeated * 1000 for name in ("ours", "url")}
    rows = [
        [
            "uwsgi.consul.consul_service",
            str(counted["ours"][0]),
            str(counted["ours"][1]),
            f"{each['ours']:.0f}",
            spread(taken["ours"]),
            verdict(counted["ours"][0] == 1, "one connection"),
        ],
        ["ansible.builtin.url", str(counted["url"][0]), str(counted["url"][1]), f"{each['url']:.0f}", spread(taken["url"]), ""],
        ["ratio", f"{counted['url'][0] / counted['ours'][0]:.0f}", "", f"{each['url'] / each['ours']:.1f}", "", ""],
    ]
    head = ["", "connections", "requests", "ms for 20 services", "quartiles of the run, s", "bound"]
    table(f"{SERVICES} services of 3 instances in a template, {repeated} times in a run", head, rows)
