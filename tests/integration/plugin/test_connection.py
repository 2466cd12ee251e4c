"""The plugin's service, client and connection by themselves, in the benchmarks' driver: very many exchanges, one after the other."""

from __future__ import annotations

from pathlib import Path

from bench.endurance import compile_driver, drive

from .conftest import Agent, debian_binary


def test_each_answer_is_told_at_once(consul: Agent, name: str, tmp_path: Path) -> None:
    """Also one that is there by the time that its request is sent: the driver ends where one has to wait for the loop's next turn."""
    assert "heartbeats 2000 " in drive(compile_driver(debian_binary(), tmp_path), consul, name, 2000)
