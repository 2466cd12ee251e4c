# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges what the processes of `holder.py` wrote down."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass
class Section:
    """One acquisition, as its process knows it. It was certainly held from held_from to held_to, if these are in that order; and at a
    moment before the first, and at one after the second."""

    pid: int
    token: int
    held_from: float
    held_to: float
    outcome: str = ""
    ended: float = 0.0
    told: float = 0.0
    proved: float = 0.0


@dataclass
class History:
    """sections: all of one key or prefix. killed: the processes that were; stopped: when a process was stopped and continued.

    grace: by how many seconds a report may be late, on a machine that has no time for who reports.
    """

    sections: list[Section]
    ttl: float
    limit: int = 1
    killed: set[int] = field(default_factory=set)
    stopped: list[tuple[int, float, float]] = field(default_factory=list)
    grace: float = 0.0

    def check(self) -> None:
        """Raises `AssertionError` with the first promise that was broken."""
        tokens = [section.token for section in self.sections]
        assert len(set(tokens)) == len(tokens), "a token was given twice"
        if self.limit == 1:
            self._check_order()
        self._check_holders()
        for section in self.sections:
            self._check_end(section)

    def _check_order(self) -> None:
        """Who has a larger token was told that he holds it after all who have smaller ones were for the last time."""
        before: Section | None = None
        for section in sorted(self.sections, key=lambda one: one.token):
            if before is not None:
                assert before.held_to <= section.held_from, f"the token does not grow, or two hold it: {before}, {section}"
            if before is None or section.held_to > before.held_to:
                before = section

    def _check_holders(self) -> None:
        """Never more than `limit` at a time that were told that they hold it."""
        holding: list[Section] = []
        for section in sorted(self.sections, key=lambda one: one.held_from):
            if section.held_from <= section.held_to:
                holding = [one for one in holding if one.held_to >= section.held_from] + [section]
                assert len(holding) <= self.limit, f"{len(holding)} at once: {holding}"

    def _check_end(self, section: Section) -> None:
        if section.pid in self.killed:
            return
        assert section.outcome, f"it did not end: {section}"
        if section.outcome == "lost":
            assert section.told, f"the loss was not reported: {section}"
            stopped = any(pid == section.pid and begin < section.told and section.proved < end for pid, begin, end in self.stopped)
            assert stopped or section.told <= section.proved + self.ttl + self.grace, f"the loss was reported after the TTL: {section}"


def read(lines: list[str]) -> list[Section]:
    """The sections that a process wrote down."""
    sections: dict[int, Section] = {}
    for line in lines:
        said = json.loads(line)
        token = said["token"]
        if said["what"] == "look":
            section = sections.setdefault(token, Section(said["pid"], token, said["to"], said["from"]))
            # From the first look's end to the last one's begin: what has ended never comes back.
            section.held_to = said["from"]
        elif token in sections and said["what"] == "told":
            sections[token].told, sections[token].proved = said["at"], said["proved"]
        elif token in sections and said["what"] == "end":
            sections[token].outcome, sections[token].ended = said["outcome"], said["at"]
    return list(sections.values())
