"""Lists the servers of a service from uWSGI's cache, and sets a key by RPC."""

import json
from urllib.parse import parse_qsl

import uwsgi


def servers(name):
    """The passing instances; None while Consul has not answered yet."""
    item = uwsgi.cache_get(f"service/{name}", "consul")
    return None if item is None else json.loads(item)["instances"]


def set_key(key, value):
    # This binding takes bytes only, the function's name included.
    return json.loads(uwsgi.call(b"consul_set", key.encode(), value.encode()))


def application(environ, start_response):
    answer = {"language": "python"}
    if environ["PATH_INFO"] == "/set":
        query = dict(parse_qsl(environ["QUERY_STRING"]))
        answer["result"] = set_key(query["key"], query["value"])
    else:
        found = servers("languages")
        answer["found"] = found and [{field: server[field] for field in ("node", "address", "port")} for server in found]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
