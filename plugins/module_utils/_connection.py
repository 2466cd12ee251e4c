# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection options of every module and plugin: their argument spec, and what becomes of them.

Their documentation is in the fragments `connection`, `token` and `tls`; a test keeps both the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible.module_utils.basic import env_fallback

from .uwsgi_consul.settings import CONSISTENCY_MODES, DEFAULT_AGENT, DEFAULT_TIMEOUT, ENVIRONMENT, Settings


def _with_environment(name: str, **spec: Any) -> dict[str, Any]:
    return {**spec, "fallback": (env_fallback, list(ENVIRONMENT[name]))}


class ConnectionOptions:
    """How a module or plugin connects to Consul."""

    ARGUMENT_SPEC: Mapping[str, Mapping[str, Any]] = {
        "agents": _with_environment("agents", type="list", elements="str", default=[DEFAULT_AGENT]),
        "timeout": {"type": "float", "default": DEFAULT_TIMEOUT},
        "datacenter": {"type": "str"},
        "consistency": {"type": "str", "choices": list(CONSISTENCY_MODES), "default": CONSISTENCY_MODES[0]},
        "token": _with_environment("token", type="str", no_log=True),
        "token_file": _with_environment("token_file", type="path"),
        "ca_path": _with_environment("ca_path", type="path"),
        "client_cert": _with_environment("client_cert", type="path"),
        "client_key": _with_environment("client_key", type="path"),
        "validate_certs": _with_environment("validate_certs", type="bool", default=True),
        "tls_server_name": _with_environment("tls_server_name", type="str"),
    }

    @classmethod
    def settings(cls, get_option: Callable[[str], Any], direct: Collection[str] = ()) -> Settings:
        """The settings from a module's `params.get` or a plugin's `get_option`.

        direct: the options that the task itself gives, where that is known. They win over those of variables, and both
        over the environment, for a token in one place must not shadow a token file in a nearer one. Raises
        `InvalidValueError`.
        """
        values = {name: get_option(name) for name in cls.ARGUMENT_SPEC}
        if values["token"] is not None and values["token_file"] is not None:
            given = {name for name in ("token", "token_file") if not cls._is_from_environment(name, values[name])}
            given = given.intersection(direct) or given
            for name in ("token", "token_file"):
                if given and name not in given:
                    values[name] = None
            if not given:
                # Consul's own command reads the file, too, when the environment has both.
                values["token"] = None
        return Settings.resolve(**values)

    @staticmethod
    def _is_from_environment(name: str, value: Any) -> bool:
        return value in (os.environ.get(variable) for variable in ENVIRONMENT[name])
