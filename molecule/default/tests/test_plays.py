"""Runs of `site.yml` on hosts that have it all already."""

from __future__ import annotations

import re
from typing import Any

import pytest

SERVICE = {"service_name": "app"}


def vassal(**changes: Any) -> dict[str, Any]:
    return {"vassals": [{"name": "app", "options": {"http-socket": ":8080"}, "consul": SERVICE | changes}]}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (vassal(service_prot=8080), "vassals.consul.service_prot. Supported parameters include: agent"),
        (vassal(service_port=70000), "vassals[0] (app).consul.service_port is 70000: give a port from 1 to 65535"),
        (vassal(service_tags=["a,b"]), 'vassals[0] (app).consul.service_tags[0] is "a,b": a tag can\'t hold a comma'),
        (
            {"consul_bootstrap_expect": 2},
            "consul_bootstrap_expect is 2, but datacenter dc1 has 1 server(s) (consul1): give 1, or at least a majority",
        ),
        ({"datacenter": "dc9"}, 'datacenter is "dc9", which is no group of the inventory: give one of consul_servers, dc1, uwsgi_hosts'),
        ({"consul_archive_checksum": "0" * 64}, f"but {'0' * 64} is expected"),
        (
            {"consul_archive": "/nowhere.zip", "consul_archive_checksum": ""},
            'consul_archive is "/nowhere.zip": give the path of a release archive',
        ),
        ({"consul_install_method": "magic"}, "value of consul_install_method must be one of: release, archive, package, got: magic"),
        ({"uwsgi_runtime_dir": "/srv/run"}, 'uwsgi_runtime_dir is "/srv/run": give a folder directly in /run'),
        ({"consul_bind_address": "eth7"}, "consul_bind_address is 'eth7': give an IP address, or one of the host's interfaces (eth0, lo)"),
    ],
)
def test_a_wrong_variable_stops_the_play_before_a_host_is_changed(lab: Any, variables: dict[str, Any], message: str) -> None:
    run = lab.play("site", **variables)
    output = re.sub(r"\s+", " ", run.stdout + run.stderr)
    assert run.returncode != 0
    assert message in output
    assert "PLAY [Consul servers]" not in output
    assert set(re.findall(r"changed=(\d+)", output)) == {"0"}


def test_an_agent_that_finds_no_leader_fails_with_its_last_log_lines(lab: Any) -> None:
    lab.host("web2").check_output("/etc/init.d/consul stop && rm -r /var/lib/consul/serf")
    run = lab.play("consul", "--limit", "web2", consul_retry_join=["10.201.20.99"], consul_wait_timeout=3)
    output = re.sub(r"\s+", " ", run.stdout + run.stderr)
    assert run.returncode != 0
    assert "The Consul agent of web2 knows no leader after 3 s (consul_wait_timeout). It joins 10.201.20.99 in datacenter dc1" in output
    assert "No known Consul servers" in output
    assert lab.play("consul", "--limit", "web2").returncode == 0


def test_a_change_that_consul_reloads_is_no_restart_and_another_is_one(lab: Any) -> None:
    def pid() -> str:
        return str(lab.host("web1").check_output("pidof consul"))

    before = pid()
    reloaded = lab.play("consul", "--limit", "web1", consul_log_level="DEBUG")
    assert reloaded.returncode == 0, reloaded.stdout
    assert pid() == before
    assert lab.api("web1", "/v1/agent/self")["DebugConfig"]["Logging"]["LogLevel"] == "DEBUG"
    restarted = lab.play("consul", "--limit", "web1")
    assert restarted.returncode == 0, restarted.stdout
    assert pid() == before
    again = lab.play("consul", "--limit", "web1", consul_config={"telemetry": {"prometheus_retention_time": "1m"}})
    assert again.returncode == 0, again.stdout
    assert pid() != before
    assert lab.play("consul", "--limit", "web1").returncode == 0


def test_what_an_interrupted_run_left_undone_is_done_by_the_next_one_once(lab: Any) -> None:
    host = lab.host("web1")
    before = host.check_output("pidof consul"), host.check_output("systemctl show --property MainPID uwsgi-emperor")
    host.check_output("rm /var/lib/consul/applied.json /etc/uwsgi/applied.json")
    for playbook in ("consul", "uwsgi"):
        assert lab.play(playbook, "--limit", "web1").returncode == 0
    after = host.check_output("pidof consul"), host.check_output("systemctl show --property MainPID uwsgi-emperor")
    assert after[0] != before[0]
    assert after[1] != before[1]
    assert "changed=0" in lab.play("consul", "--limit", "web1").stdout
    assert "changed=0" in lab.play("uwsgi", "--limit", "web1").stdout


def test_a_changed_unit_is_what_systemd_runs(lab: Any) -> None:
    assert lab.play("uwsgi", "--limit", "web1", uwsgi_emperor_curse_tolerance=99).returncode == 0
    shown = lab.host("web1").check_output("systemctl show --property TimeoutStopUSec --property NeedDaemonReload uwsgi-emperor").split()
    assert sorted(shown) == ["54s", "NeedDaemonReload=no", "TimeoutStopUSec=1min"]
    assert lab.play("uwsgi", "--limit", "web1").returncode == 0


def test_an_emperor_that_does_not_stay_up_is_an_error_on_every_kind_of_host(lab: Any) -> None:
    run = lab.play("uwsgi", uwsgi_emperor_options={"need-plugin": "nothere"})
    output = " ".join((run.stdout + run.stderr).split())
    assert len(re.findall(r"web[12] : ok=\d+ changed=\d+ unreachable=0 failed=1", output)) == 2
    assert lab.play("uwsgi").returncode == 0
    assert lab.host("web2").run("/etc/init.d/uwsgi-emperor status").rc == 0


def test_an_init_script_leaves_a_stranger_with_the_old_pid_alone(lab: Any) -> None:
    host = lab.host("web2")
    host.check_output("/etc/init.d/consul stop")
    host.check_output("setsid sleep 300 >/dev/null 2>&1 & echo $! > /run/consul.pid")
    stranger = host.check_output("cat /run/consul.pid")
    assert host.run("/etc/init.d/consul status").rc == 3
    host.check_output("/etc/init.d/consul stop")
    assert host.file(f"/proc/{stranger}").exists
    host.check_output("/etc/init.d/consul start")
    assert host.check_output("pidof consul") == host.check_output("cat /run/consul.pid")


def test_a_build_of_the_plugin_that_does_not_load_is_replaced(lab: Any) -> None:
    host = lab.host("web1")
    plugin = host.check_output("readlink -f /usr/local/lib/uwsgi/plugins/consul_plugin.so")
    host.check_output("head -c 20000 %s > /root/cut && mv /root/cut %s", plugin, plugin)
    assert lab.play("uwsgi", "--limit", "web1").returncode == 0
    host.check_output("uwsgi --need-plugin %s --version", plugin)


def test_a_gossip_key_that_agents_would_ignore_is_refused(lab: Any) -> None:
    key = "c2VjcmV0LW9mLXRoZS1nb3NzaXAtcmluZy0wMTIzNDU="
    host = lab.host("web1")
    host.check_output("echo %s > /var/lib/consul/serf/local.keyring", '["YW5vdGhlci1rZXktb2YtdGhlLXJpbmctMDEyMzQ1Njc="]')
    run = lab.play("consul", "--limit", "web1", consul_encrypt=key)
    host.check_output("rm /var/lib/consul/serf/local.keyring")
    assert run.returncode != 0
    assert "consul_encrypt is not among the keys" in " ".join((run.stdout + run.stderr).split())
    assert key not in run.stdout + run.stderr
    assert not host.file("/etc/consul.d/secrets.json").exists


def test_diff_shows_files_and_no_secrets(lab: Any) -> None:
    key = "c2VjcmV0LW9mLXRoZS1nb3NzaXAtcmluZy0wMTIzNDU="
    secrets = {"consul_encrypt": key, "consul_secret_config": {"acl": {"tokens": {"agent": "hush-hush"}}}}
    run = lab.play("site", "--check", "--diff", "-vv", consul_log_level="WARN", **secrets)
    assert run.returncode == 0, run.stdout
    assert '+    "log_level": "WARN"' in run.stdout
    # What the command line itself says is the user's own.
    for secret in (key, "hush-hush", "hunter2"):
        assert secret not in run.stdout + run.stderr


def test_a_vassal_that_belongs_elsewhere_now_is_gone(lab: Any) -> None:
    moved = {"name": "format-yml", "groups": ["consul_servers"], "options": {"http-socket": ":0"}}
    assert lab.play("vassals", "--limit", "web1", vassals=[moved]).returncode == 0
    assert not lab.host("web1").file("/etc/uwsgi/vassals/format-yml.yml").exists
    assert lab.play("vassals", "--limit", "web1").returncode == 0


def test_absent_vassals_are_removed_and_purge_takes_only_strangers(lab: Any) -> None:
    host = lab.host("web1")
    host.check_output("echo '[uwsgi]' > /etc/uwsgi/vassals/stranger.ini.off")
    gone = {"vassals": [{"name": "format-yml", "state": "absent"}]}
    assert lab.play("vassals", "--limit", "web1", **gone).returncode == 0
    assert not host.file("/etc/uwsgi/vassals/format-yml.yml").exists
    assert host.file("/etc/uwsgi/vassals/format-ini.ini").exists
    assert lab.play("vassals", "--limit", "web1", vassal_purge=True).returncode == 0
    left = set(host.check_output("ls /etc/uwsgi/vassals").split())
    assert left == {"format-ini.ini", "format-yml.yml", "format-xml.xml", "format-json.json", "secret.ini"}
    assert lab.play("demo", "--limit", "web1").returncode == 0
