"""What is in a lab's way is seen before anything is made."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from labkit import hosts
from labkit.plan import Publish

SUBNET = ipaddress.IPv4Network("10.9.8.0/24")


@pytest.mark.parametrize(
    ("destination", "collides"),
    [("default", False), ("10.9.7.0/24", False), ("10.9.8.0/24", True), ("10.9.0.0/16", True), ("10.9.8.77", True)],
)
def test_routes_that_collide(destination: str, collides: bool) -> None:
    said = hosts.colliding_route(SUBNET, [{"dst": destination, "dev": "wg0"}])
    assert said == (f"a route to {destination} through wg0" if collides else "")


def test_networks_of_containers_that_collide() -> None:
    networks: list[dict[str, Any]] = [
        {"name": "six", "subnets": [{"subnet": "fd00::/64"}]},
        {"Name": "wide", "IPAM": {"Config": [{"Subnet": "10.8.0.0/15"}]}},
    ]
    assert hosts.colliding_network(SUBNET, networks) == "the containers' network wide with 10.8.0.0/15"
    assert hosts.colliding_network(SUBNET, networks[:1]) == ""


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert hosts.taken(Publish("127.0.0.1", port, 80)) == f"port {port} of this machine is taken"
    assert hosts.taken(Publish("127.0.0.1", port, 80)) == ""
    assert "203.0.113.7" in hosts.taken(Publish("203.0.113.7", port, 80))
