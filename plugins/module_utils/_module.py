# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all modules share: the connection's options, the client, errors, check mode, diff mode, and an exact `changed`.

A module is its documentation, its argument spec, and `run(function, spec)`. The function gets a `Task` and returns a
`Change`, or None when it only read. `changed` and `diff` follow from the change, so they are the same in check mode.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ._connection import ConnectionOptions
from .uwsgi_consul.api import Api
from .uwsgi_consul.errors import ConsulError
from .uwsgi_consul.protocol import Answer

Thing = Dict[str, Any]
# The option of a module that either has something be there or not.
STATE: Mapping[str, Any] = {"type": "str", "choices": ["present", "absent"], "default": "present"}


@dataclasses.dataclass(frozen=True)
class Change:
    """What was before and what is after, or would be in check mode; None means that there is no such thing.

    Both hold plain values that can be compared and shown: no secret, and nothing that Consul changes by itself.
    """

    before: Any
    after: Any

    @property
    def changed(self) -> bool:
        return bool(self.before != self.after)

    def diff(self) -> dict[str, Any]:
        """As Ansible shows it."""
        return {"before": _shown(self.before), "after": _shown(self.after)}


NOTHING = Change(None, None)


class _TaskApi(Api):
    """Keeps in mind whether any answer lacked what the token may not see."""

    filtered = False

    def _note(self, answer: Answer) -> Answer:
        self.filtered = self.filtered or answer.filtered_by_acls
        return answer


class Task:
    """What a module's function gets: its options, a client, and where its results go.

    results: what the module returns beside `changed` and `diff`. It is returned with a failure, too, so that what was
    done until then is known. changed: to be set by a task of many steps after each, for a failure in their midst.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self.params: dict[str, Any] = module.params
        self.check_mode: bool = module.check_mode
        self.warn: Callable[[str], None] = module.warn
        self.results: dict[str, Any] = {}
        self.changed = False

    @functools.cached_property
    def api(self) -> _TaskApi:
        """Asks Consul as the connection's options say. Raises `InvalidValueError` for those that can't be right."""
        return _TaskApi(ConnectionOptions.settings(self.params.get))

    def warn_if_filtered(self, consequence: str) -> None:
        """Warns of what follows when Consul left something out that the token may not see; it says so since 1.11."""
        if self.api.filtered:
            self.warn(f"Consul left out what the token may not see: {consequence}")

    def given(self, *names: str) -> Thing:
        """Those of the options that the task gives a value."""
        return without_none({name: self.params[name] for name in names})


def without_none(options: Mapping[str, Any]) -> Thing:
    """Those of the options that have a value: Ansible gives None for what a task leaves out."""
    return {name: value for name, value in options.items() if value is not None}


class _Module(AnsibleModule):
    """Keeps secrets that stand somewhere within an option out of log and result, as `no_log` does for whole options."""

    def __init__(self, secrets: Callable[[Mapping[str, Any]], Iterable[str]], **options: Any) -> None:
        self._secrets = secrets
        super().__init__(supports_check_mode=True, **options)

    def _log_invocation(self) -> None:
        self.no_log_values.update(self._secrets(self.params))
        super()._log_invocation()


def run(
    function: Callable[[Task], Change | None],
    argument_spec: Mapping[str, Mapping[str, Any]],
    secrets: Callable[[Mapping[str, Any]], Iterable[str]] = lambda _params: (),
    **constraints: Any,
) -> None:
    """Runs a module, and ends the process with its result.

    secrets: gives the secrets within options that are not secret as a whole. constraints: `required_if`, `mutually_exclusive`
    and the like, as `AnsibleModule` takes them.
    """
    module = _Module(secrets, argument_spec={**ConnectionOptions.ARGUMENT_SPEC, **argument_spec}, **constraints)
    module.no_log_values.update(secrets(module.params))
    task = Task(module)
    try:
        change = function(task) or NOTHING
    except ConsulError as error:
        module.fail_json(msg=str(error), changed=task.changed, **{**task.results, **_parts(error)})
    module.exit_json(changed=change.changed, **({"diff": change.diff()} if change.changed and module._diff else {}), **task.results)


def _parts(error: ConsulError) -> dict[str, Any]:
    """The parts of an error that `rescue` can decide by, those that it has."""
    parts = {name: getattr(error, name, None) for name in ("asked", "agent", "advice", "status")}
    return {name: value for name, value in parts.items() if value}


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    # Ansible can show texts and mappings.
    return value if isinstance(value, (str, dict)) else {"value": value}
