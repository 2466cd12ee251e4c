"""Several services of one instance, and what else a registration can say."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest
from polling import wait_for

from ports import free_port

from .conftest import Agent, Build, Options, Start, entry, state, wait_state
from .test_consul_faults import recorder


def checks(agent: Agent, service_id: str) -> dict[str, dict[str, Any]]:
    """The checks of a service by their ids, as the agent has them."""
    return {check["CheckID"]: check for check in agent.get("/v1/agent/checks").values() if check["ServiceID"] == service_id}


def test_several_services(consul: Agent, build: Build, start: Start, name: str) -> None:
    """They come, live and go together; each has what it says, and what all share."""
    instance = start(
        build,
        {
            "consul-agent": consul.address,
            "consul-check-ttl": "5s",
            "consul-service-name": f"{name}-web",
            "consul-service": [
                f'name={name}-api,id={name}-api,port=4711,tags="v1,blue",meta=team=a=b,weights=7:2,address=127.0.0.9',
                f"name={name}-admin,id={name}-admin,check-ttl=20s",
            ],
        },
    )
    for kind in ("web", "api", "admin"):
        wait_state(consul, f"{name}-{kind}", "passing")
    api = (entry(consul, f"{name}-api") or {})["service"]
    assert (api["Port"], api["Address"], api["Tags"], api["Meta"]["team"]) == (4711, "127.0.0.9", ["v1", "blue"], "a=b")
    assert api["Weights"] == {"Passing": 7, "Warning": 2}
    assert (entry(consul, f"{name}-admin") or {})["service"]["Port"] == instance.port
    ours = consul.get("/v1/agent/checks")
    assert ours[f"service:{name}-api"]["Definition"] is not None
    instance.signal(2)
    assert instance.wait() == 0
    assert [state(consul, f"{name}-{kind}") for kind in ("web", "api", "admin")] == ["absent"] * 3
    assert instance.text().count(": deregistered") == 3


def test_checks_of_the_agent(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """The agent asks the app itself too: a path of the service, or a port."""
    instance = start(
        debian,
        {
            "consul-agent": consul.address,
            "consul-service-name": name,
            "consul-service-id": name,
            "consul-check-http": "/health",
            "consul-check-tcp": "true",
            "consul-check-interval": "1s",
            "consul-check-deregister-after": "2m",
        },
    )
    wait_state(consul, name, "passing")
    assert set(checks(consul, name)) == {f"service:{name}", f"service:{name}:http", f"service:{name}:tcp"}
    wait_for("a request of the agent", lambda: "GET /health => " in instance.text())
    wait_for("the answer", lambda: "HTTP GET http://127.0.0.1" in checks(consul, name)[f"service:{name}:http"]["Output"])
    wait_for("a connection of the agent", lambda: "Success" in checks(consul, name)[f"service:{name}:tcp"]["Output"])


def test_a_check_of_the_agent_that_fails(consul: Agent, debian: Build, start: Start, name: str) -> None:
    start(
        debian,
        {
            "consul-agent": consul.address,
            "consul-service-name": name,
            "consul-service-id": name,
            "consul-check-tcp": f"127.0.0.1:{free_port()}",
            "consul-check-interval": "1s",
        },
    )
    wait_for("both checks", lambda: len(checks(consul, name)) == 2)
    wait_for("the refused connection", lambda: checks(consul, name)[f"service:{name}:tcp"]["Status"] == "critical")
    assert checks(consul, name)[f"service:{name}"]["Status"] == "passing"


def old(agent: Agent, name: str, more: str = "") -> str:
    return f"url=http://{agent.address},name={name}{more}"


def test_the_old_plugins_option(consul: Agent, build: Build, start: Start, name: str) -> None:
    """`consul-register` as people have it, beside options of ours."""
    instance = start(
        build,
        {
            "consul-register": [
                old(consul, name, f",id={name}-1,port=9091,ttl=30,wait_workers=1,address=127.0.0.8,tags=one two,ssl_no_verify=1"),
                old(consul, f"{name}-plain"),
            ]
        },
    )
    wait_state(consul, name, "passing")
    wait_state(consul, f"{name}-plain", "passing")
    service = (entry(consul, name) or {})["service"]
    assert (service["ID"], service["Port"], service["Address"], service["Tags"]) == (f"{name}-1", 9091, "127.0.0.8", ["one", "two"])
    assert (entry(consul, f"{name}-plain") or {})["service"]["ID"] == f"{name}-plain"
    instance.signal(2)
    assert instance.wait() == 0
    assert state(consul, name) == state(consul, f"{name}-plain") == "absent"


def test_the_old_plugins_urls_token_and_debug(consul: Agent, debian: Build, start: Start, name: str) -> None:
    api = f"http://{consul.address}/v1/agent"
    instance = start(
        debian,
        {
            "consul-register": f"name={name},id={name},token=a-secret,debug=1,wait_workers=0,register_url={api}/service/register,"
            f"check_url={api}/check/pass/service:{name},deregister_url={api}/service/deregister/{name}"
        },
        environment={"APP_LOADS_FOR": "0"},
    )
    instance.wait_log(r"PUT /v1/agent/check/update/service:\S+ at http://127.0.0.1:\d+: 200")
    wait_state(consul, name, "passing")
    assert "a-secret" not in instance.text().replace(instance.text().split("[consul]")[0], "")


def test_the_old_plugins_token_and_ttl(consul: Agent, debian: Build, start: Start, name: str) -> None:
    with recorder(consul) as (address, seen):
        instance = start(debian, {"consul-register": f"url=http://{address},name={name},token=a-secret,ttl=2"})
        wait_state(consul, name, "passing")
        everybody = [instance.process.pid, instance.agent_process, *instance.workers.values()]
        # Stopped first, so that none can see the other's death.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in everybody:
                os.kill(pid, number)
        wait_state(consul, name, "critical", within=4.0)
    assert {request["headers"]["X-Consul-Token"] for request in seen} == {"a-secret"}
    assert not any("a-secret" in request["path"] or b"a-secret" in request["body"] for request in seen)


def test_registered_before_the_workers_accept(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """`wait_workers=0`: in Consul at once, and critical until somebody accepts."""
    options: Options = {"consul-register": old(consul, name, ",wait_workers=0"), "lazy-apps": "true"}
    start(debian, options, environment={"APP_LOADS_FOR": "3"})
    wait_state(consul, name, "critical", within=2.5)
    wait_state(consul, name, "passing", within=6.0)


NAMED: Options = {"consul-service-name": "never-registered"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"consul-service": "port=80"}, "consul-service = port=80: it needs a name="),
        ({"consul-service": "name=a,prot=80"}, "consul-service = prot: the keys are name, id, port"),
        ({"consul-service": "name=a,port=x"}, "consul-service, port = x: a port is a number"),
        ({"consul-service": 'name=a,tags="b'}, "consul-service = ...: a quote is left open"),
        ({"consul-service": 'name="a"b'}, "a comma must follow what is in quotes"),
        ({"consul-service": ["name=a,id=x", "name=b,id=x"]}, "consul-service-id = x: two services of this instance have it"),
        (NAMED | {"consul-service-weights": "0"}, "consul-service-weights = 0: it must be PASSING or PASSING:WARNING"),
        (NAMED | {"consul-service-weights": "1:70000"}, "numbers from 0 to 65535"),
        (NAMED | {"consul-service-weights": "1:"}, "it must be PASSING or PASSING:WARNING"),
        (NAMED | {"consul-check-http": "health"}, "consul-check-http = health: it must be a URL"),
        (NAMED | {"consul-check-http": "http://a b"}, "it must be a URL"),
        (NAMED | {"consul-check-tcp": "127.0.0.1"}, "consul-check-tcp = 127.0.0.1: it must be host:port"),
        (NAMED | {"consul-check-interval": "0"}, "consul-check-interval = 0: a time from 1s to 24h"),
        (NAMED | {"consul-check-backlog": "many"}, "consul-check-backlog = many: a number of connections is right"),
        (NAMED | {"consul-suspended": "off"}, "consul-suspended = off: the states are passing, warning and critical"),
        (NAMED | {"consul-stop-timeout": "0"}, "consul-stop-timeout = 0: a time from 100ms to 60s is right"),
        ({"consul-check-ttl": "1x"}, "consul-check-ttl = 1x: a time from 1s"),
        ({"consul-register": "url=http://127.0.0.1:8500"}, "consul-register = ...: it needs a name="),
        ({"consul-register": "name=a,token=geheim"}, "consul-register = a: it needs the url of an agent"),
        ({"consul-register": "name=a,url=localhost"}, "consul-register, url = localhost: it must be the URL of an agent"),
        ({"consul-register": "name=a,register_url=http://127.0.0.1/x"}, "with the path of this call in Consul's API behind it"),
        ({"consul-register": 'name=a,token="geheim'}, "consul-register = ...: a quote is left open"),
        ({"consul-register": '"url=http://127.0.0.1:8500,name=a,token=geheim"'}, "consul-register = ...: each part must be key=value"),
        ({"consul-register": "name=a,url=http://127.0.0.1:8500,token=a,geheim"}, "consul-register = ...: each part must be key=value"),
        ({"consul-register": "name=a,url=localhost/?token=geheim"}, "consul-register, url = ...: it must be the URL"),
        ({"consul-register": "name=..,url=http://127.0.0.1:8500"}, "consul-register = ..: an id of dots only can't be asked for"),
        (
            {"consul-check-http": "/", "consul-service": ["name=a,id=x", "name=b,id=x:http"]},
            "consul-service-id = x:http: a check of another service of this instance has it",
        ),
        ({"consul-ca": "/etc/passwd"}, "consul-ca = /etc/passwd: no consul-agent is https://"),
        ({"consul-agent": "https://a", "consul-ca": "/no/file"}, "consul-ca = /no/file: a file that this instance can read is right"),
        ({"consul-agent": "https://a", "consul-cert": "/etc/passwd"}, "consul-cert = /etc/passwd: it needs a consul-key beside it"),
        ({"consul-watch-service": ""}, "consul-watch-service = : it must be UTF-8 text, not empty"),
        ({"consul-watch-service": "tag=a"}, "what to watch comes first"),
        ({"consul-watch-service": "a,status=good"}, "consul-watch-service, status = good: it must be passing, warning"),
        ({"consul-watch-kv": "a,tag=b"}, "consul-watch-kv = tag: it must be prefix"),
        (
            {"consul-watch-kv": "a,on-change=restart"},
            "consul-watch-kv, on-change = restart: it must be reload, touch:FILE or signal:NUMBER",
        ),
        ({"consul-watch-kv": "a,on-change=signal:256"}, "a signal of uWSGI is a number from 0 to 255"),
        ({"consul-watch-kv": "a/../b"}, "consul-watch-kv = a/../b: Consul can't be asked for it"),
        ({"consul-watch-service": ".."}, "consul-watch-service = ..: Consul can't be asked for it"),
        ({"consul-watch-query": "a,interval=1ms"}, "consul-watch-query, interval = 1ms: a time from 1s to 1h"),
        ({"consul-cache": "a,items=5"}, "consul-cache = a,items=5: the name of a cache has no blanks, commas"),
        ({"consul-election": "a,ttl=1s"}, "consul-election, ttl = 1s: a time from 10s to 24h"),
        ({"consul-election": ["a", "b"]}, "consul-election = b: an instance takes part in one election"),
        ({"consul-election": "a,key=/b"}, "a key of Consul does not begin with a slash"),
        ({"consul-election": "a,key=b//c"}, "consul-election, key = b//c: Consul can't be asked for it"),
        ({"consul-election": "../a"}, "consul-election, key = uwsgi/election/../a: Consul can't be asked for it"),
        ({"consul-watch-service": "web,api"}, "consul-watch-service = api: there is a name already: for another one give the option again"),
        ({"consul-watch-kv": "app/,other/"}, "consul-watch-kv = other/: there is a name already"),
        ({"consul-watch-service": "web,dc=a,dc=b"}, "consul-watch-service = dc: this key is given twice"),
        ({"consul-election": "e1,e2"}, "consul-election = e2: there is a name already"),
        ({"consul-service": "name=a,port=1,name=b"}, "consul-service = name: this key is given twice"),
        ({"consul-service": "name=a,tags=v1,blue"}, "with quotes around what holds a comma"),
        ({"consul-watch-kv": "/a"}, "consul-watch-kv = /a: Consul can't be asked for it"),
        ({"consul-register": "name=a,url=http://u:geheim@127.0.0.1:1"}, "consul-register, url = ...: it must be the URL of an agent"),
        ({"consul-election": "a", "consul-cron": "70 3 -1 -1 -1 /bin/true"}, "it must be minute (to 59) hour (to 23)"),
        ({"consul-cron": "-1 -1 -1 -1 -1 /bin/true"}, "it needs a consul-election beside it"),
        ({"consul-election": "a", "consul-cron": "* * * * * /bin/true"}, "it must be minute (to 59) hour (to 23)"),
        ({"consul-election": "a", "consul-unique-cron": "-1 -1 -1 -1 -1"}, "it must be minute (to 59) hour (to 23)"),
    ],
)
def test_wrong_values_stop_the_instance(debian: Build, start: Start, options: Options, message: str) -> None:
    instance = start(debian, options)
    assert instance.wait() == 1
    assert re.search(r"\[consul\] " + ".*" + re.escape(message), instance.text()), instance.text()[-600:]
    assert "geheim" not in "".join(line for line in instance.text().splitlines() if "[consul]" in line)
