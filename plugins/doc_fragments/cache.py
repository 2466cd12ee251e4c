# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Answers that a lookup shares with those of other hosts and tasks."""

    DOCUMENTATION = r"""
options:
  cache:
    description:
      - Whether an answer of Consul serves all hosts and tasks of the run that ask the same, for O(cache_timeout) seconds.
      - It is off by default, so that a task sees what the task before it wrote. Switch it on for a play that renders the same
        services on many hosts by its variable C(uwsgi_consul_cache), and off again for one lookup by this option.
      - What must be new is asked anew in any case, which is waiting, and reading with O(consistency=consistent).
      - The answers lie in the run's own folder below C(local_tmp), which only its user may enter and which Ansible removes
        at the end of the run.
    type: bool
    default: false
    ini:
      - section: uwsgi_consul
        key: cache
    vars:
      - name: uwsgi_consul_cache
  cache_timeout:
    description: For how many seconds an answer is used with O(cache).
    type: float
    default: 30.0
    ini:
      - section: uwsgi_consul
        key: cache_timeout
    vars:
      - name: uwsgi_consul_cache_timeout
"""
