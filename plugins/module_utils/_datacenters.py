# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is to know of datacenters."""

from __future__ import annotations

from ._module import Task
from .uwsgi_consul.datacenters import Datacenters


def find(task: Task) -> None:
    """The module `consul_datacenter_info`."""
    datacenters, only = Datacenters(task.api), task.params["datacenter"]
    task.results["datacenters"] = datacenters.describe([only] if only else None, nodes=task.params["nodes"])
    task.warn_if_filtered("there may be more servers and nodes (node:read, and service:read for consul)")
