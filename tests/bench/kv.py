"""Keys from Ansible: one task of ours against a loop of community.general's module, as whole runs of `ansible-playbook`."""

from __future__ import annotations

from typing import Any

from . import peer
from .kit import Lab, median, say, scaled, spread, table, verdict

FEW, MANY, ROUNDS, LEAST_RATIO, LONGEST = 100, 1000, 5, 100, 3.0
# What is done to the keys, in this order, and of how many of them one is changed by it.
MOMENTS = {"created": 1, "unchanged": 0, "1 % changed": 100}
EMPTY = {"name": "Nothing", "ansible.builtin.debug": {"msg": ""}}


def values(count: int, moment: str, prefix: str, round_number: int) -> dict[str, str]:
    """The keys with the values that they have from this moment on."""
    every = MOMENTS["1 % changed"] if moment == "1 % changed" else 0
    given = {f"{prefix}{number:04}": f"value {number}" for number in range(count)}
    return {key: f"{value} of {round_number}" if every and not place % every else value for place, (key, value) in enumerate(given.items())}


def ours(given: dict[str, str]) -> dict[str, Any]:
    return {"name": "Keys", "uwsgi.consul.consul_kv": {"values": given}}


def theirs(given: dict[str, str], host: str, port: int) -> dict[str, Any]:
    options = {"key": "{{ item.key }}", "value": "{{ item.value }}", "host": host, "port": port}
    return {"name": "Keys", "community.general.consul_kv": options, "loop": [{"key": key, "value": given[key]} for key in given]}


def run(lab: Lab) -> None:
    agent = lab.agent()
    host, _colon, port = agent.address.rpartition(":")
    place = lab.place("plays")
    say(f"community.general {peer.version()}")
    peer.play(place, [ours({"warm": "up"})], agent.address)
    empty = median([peer.play(place, [EMPTY], agent.address).seconds for _ in range(ROUNDS)])
    few, many, rounds = scaled(FEW, 2), scaled(MANY, 2), scaled(ROUNDS)
    measured: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds):
        for count in (few, many):
            for moment in MOMENTS:
                given = values(count, moment, f"ours/{count}/{number}/", number)
                done = peer.play(place, [ours(given)], agent.address)
                if done.changed != (moment != "unchanged"):
                    raise RuntimeError(f"{count} keys, {moment}: {done}")
                measured.setdefault((moment, count), []).append(done.seconds)
    rows = []
    for moment, every in MOMENTS.items():
        given = values(few, moment, "theirs/", 1)
        loop = peer.play(place, [theirs(given, host, int(port))], agent.address)
        expected = len([key for number, key in enumerate(given) if every and number % every == 0])
        if loop.changed != expected:
            raise RuntimeError(f"the peer changed {loop.changed} of {few} keys, {moment}, and should have {expected}")
        one, thousand = measured[moment, few], measured[moment, many]
        ratio = (loop.seconds - empty) / (median(one) - empty)
        bound = verdict(ratio >= LEAST_RATIO, f"{LEAST_RATIO} times")
        if moment == "unchanged":
            bound += "; " + verdict(median(thousand) <= LONGEST, f"{many} keys in {LONGEST:g} s")
        rows.append(
            [
                moment,
                f"{loop.seconds:.1f}",
                f"{median(one):.2f} ({spread(one)})",
                f"{loop.seconds / median(one):.0f}",
                f"{ratio:.0f}",
                f"{median(thousand):.2f} ({spread(thousand)})",
                bound,
            ]
        )
    say(f"a play that does nothing takes {empty:.2f} s")
    head = [
        "keys",
        f"peer's loop, {few}: s",
        f"ours, {few}: s (quartiles)",
        "ratio",
        "ratio without what an empty play takes",
        f"ours, {many}: s (quartiles)",
        "bound",
    ]
    table(f"Runs of ansible-playbook, {rounds} of each of ours, 1 of the peer's", head, rows)
