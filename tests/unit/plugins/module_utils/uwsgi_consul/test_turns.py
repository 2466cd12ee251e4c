# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import random

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.turns import Turns


def test_whoever_comes_again_waits_for_the_others() -> None:
    async def run() -> list[int]:
        turns, order = Turns(1), []

        async def come_again(number: int) -> None:
            for _ in range(3):
                async with turns:
                    order.append(number)
                    await asyncio.sleep(0)

        await asyncio.gather(*(come_again(number) for number in range(3)))
        return order

    assert asyncio.run(run()) == [0, 1, 2] * 3


def test_no_place_is_lost_or_made_by_those_who_are_cancelled() -> None:
    async def run() -> None:
        turns, inside, most = Turns(3), 0, 0

        async def visit() -> None:
            nonlocal inside, most
            async with turns:
                inside += 1
                most = max(most, inside)
                try:
                    await asyncio.sleep(random.uniform(0, 0.002))  # noqa: S311
                finally:
                    inside -= 1

        for _round in range(50):
            tasks = [asyncio.ensure_future(visit()) for _ in range(12)]
            await asyncio.sleep(random.uniform(0, 0.003))  # noqa: S311
            for task in random.sample(tasks, 6):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert (inside, most) == (0, 3)
        # All three are there still.
        async with turns, turns, turns:
            pass

    asyncio.run(asyncio.wait_for(run(), 60))
