# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the objects share: their client, their datacenter, how answers are read."""

from __future__ import annotations

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, AsyncApi, Client, errors
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.bound import Bound, read

ANSWER = "/v1/status/leader"


def test_without_a_client_the_environment_says_which_agent(fake_agent, monkeypatch):
    agent = fake_agent()
    monkeypatch.setenv("CONSUL_HTTP_ADDR", agent.address)
    Bound()._ask("GET", ANSWER)
    assert agent.requests[0].target == ANSWER


@pytest.mark.parametrize("kind", [Api, Client])
def test_the_datacenter_is_its_own_before_that_of_the_client(fake_agent, kind):
    agent = fake_agent()
    client = kind(agents=[agent.address], datacenter="dc2")
    Bound(client)._ask("GET", ANSWER)
    Bound(client, datacenter="dc3")._ask("PUT", ANSWER, body={"a": "é"})
    assert [one.target for one in agent.requests] == [f"{ANSWER}?dc=dc2", f"{ANSWER}?dc=dc3"]
    assert agent.requests[1].body == b'{"a": "\\u00e9"}'


@pytest.mark.parametrize("client", [7, "127.0.0.1:8500", object(), AsyncApi()])
def test_what_is_no_client_is_refused(client):
    with pytest.raises(errors.InvalidValueError, match=r"^client: .* is neither an Api nor a Client$"):
        Bound(client)


def test_what_belongs_to_one_agent_is_not_asked_of_several(fake_agent):
    agent = fake_agent()
    bound = Bound(Api(agents=[agent.address, "127.0.0.1:1"]))
    with pytest.raises(errors.InvalidValueError, match=r"agents: maintenance belongs to one agent, and the client has 2: 127"):
        bound._one_agent("maintenance")


@pytest.mark.parametrize("body", ["", "{", "null", "7", "[]", "{}", '{"ID": null}', '{"ID": 7}', '{"ID": [1]}'])
def test_an_answer_that_a_function_cannot_read_is_a_bad_answer(fake_agent, reply, body):
    answer = Api(agents=[fake_agent(reply(body)).address]).request("GET", ANSWER)
    with pytest.raises(errors.BadAnswerError):
        read(answer, lambda data: data["ID"].strip())


def test_the_token_is_not_shown(fake_agent):
    secret = "of-the-test-1234"  # noqa: S105
    assert secret not in repr(Bound(Api(agents=[fake_agent().address], token=secret)))
