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
    "abi",
    "log",
    "options",
    "config",
    "config_connection",
    "config_service",
    "config_register",
    "config_watch",
    "config_election",
    "judge",
    "fields",
    "list",
    "address",
    "values",
    "memory",
    "json",
    "path",
    "header",
    "port",
    "health",
    "board",
    "supervisor",
    "status_thread",
    "stop",
    "handover",
    "agent_process",
    "watches",
    "watch",
    "watch_key",
    "probe",
    "publish",
    "item",
    "text",
    "base64",
    "answer_instances",
    "answer_kv",
    "cache",
    "cache_lock",
    "cache_handover",
    "cache_records",
    "prefetch",
    "change",
    "process_setup",
    "services",
    "service",
    "registration",
    "liveness",
    "workers",
    "leader",
    "leader_cron",
    "election",
    "election_key",
    "candidate",
    "session",
    "commands",
    "trouble",
    "ask",
    "client",
    "http",
    "token",
    "kv_item",
    "instance",
    "blocking",
    "rpc",
    "rpc_call",
    "rpc_caller",
    "rpc_catalog",
    "rpc_health",
    "rpc_kv",
    "rpc_leader",
    "rpc_session",
    "python",
]
