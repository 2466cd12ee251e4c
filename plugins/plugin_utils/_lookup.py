# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all lookups share: options, client, shared answers, errors, and results that are lists whoever asks."""

from __future__ import annotations

import functools
import inspect
from fnmatch import fnmatchcase
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.uwsgi.consul.plugins.module_utils._connection import ConnectionOptions
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import arguments
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConsulError, InvalidValueError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings
from ansible_collections.uwsgi.consul.plugins.plugin_utils._answers import SharingApi

display = Display()


class ConsulLookup(LookupBase):
    """A lookup implements `results`; it may raise any `ConsulError`."""

    def results(self, api: Api, terms: list[Any]) -> list[Any]:
        raise NotImplementedError

    def may_share(self) -> bool:
        """Whether an answer that another one got a moment ago will do."""
        return True

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        # `with_...` of ansible-core before 2.19 passes it on.
        kwargs.pop("wantlist", None)
        self.set_options(var_options=variables, direct=kwargs)
        try:
            self._refuse_unknown(kwargs)
            settings = ConnectionOptions.settings(self.get_option, direct=kwargs)
            return self.results(_api_for(settings, self._shared_seconds()), self._flatten(terms))
        except ConsulError as error:
            raise AnsibleLookupError(str(error)) from None

    def _shared_seconds(self) -> float:
        """For how long answers are shared; 0 for not at all."""
        if not self.get_option("cache"):
            return 0.0
        timeout = arguments.seconds(self.get_option("cache_timeout"), "cache_timeout")
        return timeout if self.may_share() else 0.0

    def _refuse_unknown(self, given: dict[str, Any]) -> None:
        # Ansible ignores them, so that a misspelt `datacenter` would ask the wrong one.
        known = set(self.option_definitions) - {"_terms"}
        unknown = sorted(set(given) - known)
        if unknown:
            raise InvalidValueError(f"{', '.join(unknown)}: no such option", advice=f"The options are {', '.join(sorted(known))}")


def as_list(results: list[Any]) -> list[Any]:
    """The results such that `lookup()` gives them as a list, too, when there is one only.

    `lookup()` gives the element in place of a list of one, so that a template that loops over the instances of a service
    would break on the day that there is a single one. A plugin is not told which of `lookup()` and `query()` asks, so the
    callers are searched for Ansible's variable that says it; where there is none, Ansible's rule stays in force.
    """
    if len(results) != 1:
        return results
    frame = inspect.currentframe()
    while frame is not None:
        if "wantlist" in frame.f_locals and frame.f_globals.get("__name__", "").startswith("ansible."):
            return results if frame.f_locals["wantlist"] else [results]
        frame = frame.f_back
    return results


def named(found: list[dict[str, Any]], patterns: list[Any], what: str) -> list[dict[str, Any]]:
    """Those whose name matches one of the shell patterns; all when there is none."""
    judged = arguments.names(patterns, what)
    return [one for one in found if not judged or any(fnmatchcase(one["name"], pattern) for pattern in judged)]


@functools.lru_cache(maxsize=16)
def _api_for(settings: Settings, shared_seconds: float) -> Api:
    """One client, and so one connection, for all lookups of the process with the same settings."""
    return SharingApi(settings, shared_seconds) if shared_seconds else Api(settings)
