# SPDX-License-Identifier: BSD-2-Clause
# Read by `uwsgi --build-plugin`: what to compile and with what.
import os
import subprocess

NAME = "consul"


def pkg_config(what, fallback):
    """What pkg-config says of libcurl and jansson, or the usual answer where it is not installed."""
    try:
        return subprocess.check_output(["pkg-config", what, "libcurl", "jansson"]).decode().split()
    except (OSError, subprocess.CalledProcessError):
        return fallback


CFLAGS = ["-std=gnu11", "-fvisibility=hidden", "-Wall", "-Wextra", *pkg_config("--cflags", [])]
CFLAGS += os.environ.get("UWSGI_CONSUL_CFLAGS", "").split()
LDFLAGS = os.environ.get("UWSGI_CONSUL_LDFLAGS", "").split()
LIBS = pkg_config("--libs", ["-lcurl", "-ljansson"])
GCC_LIST = [
    "plugin",
    "agent/agent_process",
    "agent/process_setup",
    "base/base64",
    "base/fields",
    "base/header",
    "base/json",
    "base/list",
    "base/log",
    "base/memory",
    "base/path",
    "base/text",
    "base/values",
    "client/ask",
    "client/blocking",
    "client/client",
    "client/http",
    "client/token",
    "client/trouble",
    "config/address",
    "config/config",
    "config/config_connection",
    "config/config_election",
    "config/config_register",
    "config/config_service",
    "config/config_watch",
    "config/judge",
    "config/options",
    "config/port",
    "election/candidate",
    "election/commands",
    "election/election",
    "election/election_key",
    "election/leader",
    "election/leader_cron",
    "election/session",
    "master/abi",
    "master/board",
    "master/handover",
    "master/status_thread",
    "master/stop",
    "master/supervisor",
    "rpc/python",
    "rpc/rpc",
    "rpc/rpc_call",
    "rpc/rpc_caller",
    "rpc/rpc_catalog",
    "rpc/rpc_health",
    "rpc/rpc_kv",
    "rpc/rpc_leader",
    "rpc/rpc_session",
    "service/health",
    "service/liveness",
    "service/registration",
    "service/service",
    "service/services",
    "service/workers",
    "watch/answer_instances",
    "watch/answer_kv",
    "watch/cache",
    "watch/cache_handover",
    "watch/cache_lock",
    "watch/cache_records",
    "watch/change",
    "watch/instance",
    "watch/item",
    "watch/kv_item",
    "watch/moment",
    "watch/prefetch",
    "watch/probe",
    "watch/publish",
    "watch/watch",
    "watch/watch_key",
    "watch/watches",
]
