# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What is true of all modules: of those that change something, and (`INFO`) of those that only read."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check mode, where it reports what it would change, and changes nothing.
    support: full
  diff_mode:
    description: Reports in diff mode what was before and what is after.
    support: full
  action_group:
    description: Use C(group/uwsgi.consul.consul) in C(module_defaults) to give the options of all modules of the collection once.
    support: full
    membership: [uwsgi.consul.consul]
"""

    INFO = r"""
attributes:
  check_mode:
    description: Changes nothing, in check mode as elsewhere.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to report.
    support: N/A
  action_group:
    description: Use C(group/uwsgi.consul.consul) in C(module_defaults) to give the options of all modules of the collection once.
    support: full
    membership: [uwsgi.consul.consul]
"""
