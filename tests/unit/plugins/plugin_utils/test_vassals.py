"""Vassals: what a user declares, checked and rendered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from ansible_collections.uwsgi.consul.plugins.plugin_utils import _vassals as vassals

REPOSITORY = Path(__file__).parents[4]


def declared(**changes: Any) -> dict[str, Any]:
    return {"name": "app", "options": {"http-socket": ":8080"}, "consul": {"service_name": "app"}, **changes}


def rendered(*declarations: dict[str, Any], groups: tuple[str, ...] = (), **settings: Any) -> dict[str, str]:
    files = vassals.vassal_files(list(declarations), groups, settings.pop("defaults", {}), **settings)
    return {entry["file"]: entry["content"] for entry in files if entry["state"] == "present"}


def test_an_ini_file_keeps_order_and_repeats_options() -> None:
    options = [{"need-plugin": ["python3", "rrdtool"]}, {"http-socket": ":2001", "master": True, "processes": 4}, {"need-plugin": "last"}]
    content = rendered(declared(options=options, consul=None))["app.ini"]
    assert content == (
        "[uwsgi]\nneed-plugin = python3\nneed-plugin = rrdtool\nhttp-socket = :2001\nmaster = true\nprocesses = 4\nneed-plugin = last\n"
    )


def test_plugins_are_loaded_before_their_options_are_used() -> None:
    content = rendered(declared(options={"wsgi-file": "app.py", "need-plugin": "python3", "plugins-dir": "/opt"}, consul=None))["app.ini"]
    assert content == "[uwsgi]\nplugins-dir = /opt\nneed-plugin = python3\nwsgi-file = app.py\n"


def test_the_service_becomes_options_of_the_plugin() -> None:
    consul = {
        "service_name": "app",
        "service_id": "app-1",
        "service_tags": ["v2", "primary"],
        "service_port": 8080,
        "service_meta": {"version": "1.0", "load": "50%"},
        "check_ttl": "10s",
    }
    content = rendered(declared(consul=consul), agents=["127.0.0.1:8500", "192.0.2.1:8500"])["app.ini"]
    assert content == (
        "[uwsgi]\n"
        "need-plugin = consul\n"
        "consul-agent = 127.0.0.1:8500\n"
        "consul-agent = 192.0.2.1:8500\n"
        "consul-service-id = app-1\n"
        "consul-service-name = app\n"
        "consul-service-tags = v2,primary\n"
        "consul-service-port = 8080\n"
        "consul-service-meta = version=1.0\n"
        "consul-service-meta = load=50%%\n"
        "consul-check-ttl = 10s\n"
        "http-socket = :8080\n"
    )


def test_own_agents_and_own_options_come_before_the_defaults() -> None:
    consul = {"service_name": "app", "agent": ["192.0.2.9:8500"]}
    own = {"http-socket": ":8080", "strict": False}
    content = rendered(declared(consul=consul, options=own), agents=["127.0.0.1:8500"], defaults={"strict": True, "vacuum": True})[
        "app.ini"
    ]
    assert "consul-agent = 192.0.2.9:8500\n" in content
    assert "127.0.0.1" not in content
    assert content.count("strict = ") == 1
    assert content.startswith("[uwsgi]\nvacuum = true\nneed-plugin = consul\n")
    assert "strict = false\n" in content


@pytest.mark.parametrize("form", ["yml", "xml", "json"])
def test_the_other_formats_say_the_same(form: str) -> None:
    options = {"need-plugin": ["python3", "consul"], "http-socket": ":8080", "module": "app:application"}
    content = rendered(declared(format=form, options=options, consul=None))[f"app.{form}"]
    if form == "xml":
        root = ElementTree.fromstring(content)
        read = [(element.tag, element.text) for element in root]
    elif form == "json":
        read = [
            (key, item) for key, value in json.loads(content)["uwsgi"].items() for item in (value if isinstance(value, list) else [value])
        ]
    else:
        read = [(line.split(": ", 1)[0].strip(), line.split(": ", 1)[1]) for line in content.splitlines()[1:]]
        assert yaml.safe_load(content)["uwsgi"]["module"] == "app:application"
    assert read == [("need-plugin", "python3"), ("need-plugin", "consul"), ("http-socket", ":8080"), ("module", "app:application")]


def test_xml_and_json_escape() -> None:
    options = {"env": 'A=<b> & "c" \\'}
    assert ElementTree.fromstring(rendered(declared(format="xml", options=options))["app.xml"]).find("env").text == options["env"]  # type: ignore[union-attr]
    assert json.loads(rendered(declared(format="json", options=options))["app.json"])["uwsgi"]["env"] == options["env"]


@pytest.mark.parametrize("value", ['"quoted"', "a: b", "a #b", "{a}", "'x", "- x", "a:"])
def test_yml_refuses_what_not_every_uwsgi_reads(value: str) -> None:
    with pytest.raises(vassals.VassalError, match="use the format ini, xml or json"):
        rendered(declared(format="yml", options={"env": value}))


def test_placement_by_group() -> None:
    here, elsewhere = declared(name="here", groups=["web", "batch"]), declared(name="elsewhere", groups=["db"])
    assert list(rendered(here, elsewhere, declared(), groups=("web",))) == ["here.ini", "app.ini"]


def test_a_vassal_that_moves_elsewhere_is_absent_here() -> None:
    files = vassals.vassal_files([declared(groups=["db"])], ("web",), {})
    assert {entry["file"]: entry["state"] for entry in files} == {f"app.{form}": "absent" for form in vassals.FORMATS}


def test_errors_of_a_secret_vassal_show_no_value() -> None:
    with pytest.raises(vassals.VassalError) as error:
        rendered(declared(secret=True, options={"env": "PASSWORD=hunter2 "}))
    assert "hunter2" not in str(error.value)
    assert "options.env has a secret value that is wrong: uWSGI would cut the blanks" in str(error.value)


def test_json_refuses_conditions_that_it_would_reorder() -> None:
    options = [{"if-env": "A"}, {"threads": 2}, {"endif": True}, {"if-env": "B"}, {"threads": 4}, {"endif": True}]
    with pytest.raises(vassals.VassalError, match="use another format"):
        rendered(declared(format="json", options=options, consul=None))


def test_an_instance_that_only_watches() -> None:
    consul = {
        "watch_service": ['web,tag=blue,filter="Service.Port > 1, 2"', "api"],
        "watch_kv": ["app/,on-change=reload"],
        "cache": "known",
    }
    content = rendered(declared(consul=consul))["app.ini"]
    assert content == (
        "[uwsgi]\n"
        "need-plugin = consul\n"
        'consul-watch-service = web,tag=blue,filter="Service.Port > 1, 2"\n'
        "consul-watch-service = api\n"
        "consul-watch-kv = app/,on-change=reload\n"
        "consul-cache = known\n"
        "http-socket = :8080\n"
    )


@pytest.mark.parametrize(
    ("option", "value"), [("check_ttl", "1500ms"), ("check_ttl", 5), ("check_deregister_after", 0), ("timeout", "100ms")]
)
def test_durations(option: str, value: object) -> None:
    name = "consul-" + option.replace("_", "-")
    assert f"{name} = {value}\n" in rendered(declared(consul={"service_name": "app", option: value}))["app.ini"]


def test_an_election_needs_no_service() -> None:
    consul = {"election": "jobs,ttl=20s", "election_gain": ["a", "b"], "unique_cron": ["-5 -1 -1 -1 -1 date +%s"]}
    text = rendered(declared(consul=consul))["app.ini"]
    assert "consul-election = jobs,ttl=20s\nconsul-election-gain = a\nconsul-election-gain = b\n" in text
    assert "consul-unique-cron = -5 -1 -1 -1 -1 date +%%s\n" in text


def test_absence_and_another_format_leave_no_file_behind() -> None:
    files = vassals.vassal_files([declared(format="yml"), declared(name="gone", state="absent")], (), {})
    states = {entry["file"]: entry["state"] for entry in files}
    assert states == {
        "app.yml": "present", "app.ini": "absent", "app.xml": "absent", "app.json": "absent",
        "gone.ini": "absent", "gone.yml": "absent", "gone.xml": "absent", "gone.json": "absent",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../etc/passwd"}, 'vassals[0].name is "../etc/passwd": give at most 240 letters'),
        ({"name": "a:b"}, 'vassals[0].name is "a:b"'),
        ({"name": None}, "vassals[0].name is null"),
        ({"format": "toml"}, 'vassals[0] (app).format is "toml": give one of ini, yml, xml, json'),
        ({"optoins": {}}, "vassals[0] (app).optoins is unknown: did you mean options?"),
        ({"options": {}}, "vassals[0] (app).options is empty"),
        ({"options": "master"}, 'vassals[0] (app).options is "master": give a list'),
        ({"options": ["master"]}, 'vassals[0] (app).options[0] is "master": give a mapping'),
        ({"options": {"env": "A=1\nuid = root"}}, "vassals[0] (app).options.env is"),
        ({"options": {"a = b\nc": "1"}}, "vassals[0] (app).options, option is"),
        ({"options": {"env": " A=1"}}, "uWSGI would cut the blanks"),
        ({"options": {"env": {"A": 1}}}, "give a string, a number or a boolean"),
        ({"options": {"env": "x" * 65536}}, "uWSGI takes 65535"),
        ({"secret": "yes"}, 'vassals[0] (app).secret is "yes": give true or false'),
        ({"groups": "web"}, 'vassals[0] (app).groups is "web": give a list'),
        ({"consul": {"watch_kv": ["a/"], "service_port": 8080}}, "consul.service_port needs a service_name beside it"),
        ({"consul": {"watch_kv": "a/"}}, 'consul.watch_kv is "a/": give a list'),
        ({"consul": {"watch_kv": ["a/"], "cache": "a b"}}, 'consul.cache is "a b": give the name of a cache'),
        ({"consul": {"service_port": 8080}}, "vassals[0] (app).consul.service_name is missing"),
        ({"consul": {"service": [{"port": 80}]}}, "consul.service[0].name is missing"),
        ({"consul": {"service": [{"name": "a", "prot": 80}]}}, "consul.service[0].prot is unknown: did you mean port?"),
        ({"consul": {"service_name": "a", "service_weights": "0:1"}}, "give PASSING or PASSING:WARNING, such as 10:1"),
        ({"consul": {"service_name": "a", "check_backlog": -1}}, "give a number from 0 to 1000000"),
        ({"consul": {"service": [{"name": "a"}], "service_id": "b"}}, "consul.service_id needs a service_name beside it"),
        ({"consul": {"service_name": "a", "cron": ["-1 -1 -1 -1 -1 true"]}}, "consul.cron needs an election beside it"),
        ({"consul": {"election": "a", "cron": ["-1 -1 -1 -1 true"]}}, "give minute hour day month week command"),
        ({"consul": {"election": "a", "election_gain": "true"}}, 'consul.election_gain is "true": give a list'),
        ({"consul": {"election": "a", "election_loss": ["echo $(id)"]}}, "has no '@('"),
        ({"consul": {"service_name": ""}}, 'consul.service_name is ""'),
        ({"consul": {"service_name": "app", "service_prot": 1}}, "consul.service_prot is unknown: did you mean service_port?"),
        ({"consul": {"service_name": "app", "service_port": 70000}}, "consul.service_port is 70000: give a port from 1 to 65535"),
        ({"consul": {"service_name": "app", "service_port": 0}}, "consul.service_port is 0"),
        ({"consul": {"service_name": "app", "service_port": True}}, "consul.service_port is true"),
        ({"consul": {"service_name": "app", "service_tags": ["a,b"]}}, 'consul.service_tags[0] is "a,b": a tag can\'t hold a comma'),
        ({"consul": {"service_name": "app", "service_tags": "a"}}, 'consul.service_tags is "a": give a list'),
        ({"consul": {"service_name": "app", "service_meta": {"a b": "1"}}}, 'consul.service_meta, key is "a b"'),
        ({"consul": {"service_name": "app", "check_ttl": "fast"}}, 'consul.check_ttl is "fast": give a duration'),
        ({"consul": {"service_name": "app", "check_ttl": "25h"}}, "from 1s to 24h"),
        ({"consul": {"service_name": "app", "check_ttl": 0}}, "from 1s to 24h"),
        ({"consul": {"service_name": "app", "check_deregister_after": "30s"}}, "from 1m to 8760h, such as 10s, or 0 for never"),
        ({"consul": {"service_name": "app", "timeout": "2m"}}, "from 100ms to 60s"),
        ({"consul": {"service_name": "app", "consistency_mode": "strong"}}, "give one of default, consistent, stale"),
        ({"consul": {"service_name": "@(exec://id)"}}, "has no '@('"),
        ({"consul": {"service_name": "a\nuid = root"}}, "of one line"),
    ],
)
def test_what_is_wrong_names_variable_value_and_what_is_right(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(vassals.VassalError) as error:
        rendered(declared(**changes))
    assert message in str(error.value)


def test_names_are_unique() -> None:
    with pytest.raises(vassals.VassalError, match="another vassal has the same name"):
        rendered(declared(), declared(format="yml"))


def test_a_wrong_vassal_is_refused_wherever_it_belongs() -> None:
    with pytest.raises(vassals.VassalError, match="70000"):
        rendered(declared(groups=["db"], consul={"service_name": "app", "service_port": 70000}), groups=("web",))


def test_the_roles_documentation_names_the_same_options() -> None:
    spec = yaml.safe_load((REPOSITORY / "roles/vassal/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    documented = spec["vassals"]["options"]
    assert tuple(documented) == vassals.KEYS
    assert set(documented["consul"]["options"]) == set(vassals.CONSUL_OPTIONS)
    assert documented["format"]["choices"] == list(vassals.FORMATS)
    assert documented["state"]["choices"] == list(vassals.STATES)


def test_services_are_written_as_the_plugin_reads_them() -> None:
    services = [
        {"name": "web", "port": 80, "tags": ["a", "b"], "meta": {"team": "x,y"}, "check_http": "/health"},
        {"name": 'quo"ted\\'},
        "name=plain,port=1",
    ]
    written = rendered(declared(consul={"service": services}))["app.ini"]
    assert 'consul-service = name=web,port=80,tags=a,tags=b,meta="team=x,y",check-http=/health\n' in written
    assert 'consul-service = name="quo\\"ted\\\\"\n' in written
    assert "consul-service = name=plain,port=1\n" in written
