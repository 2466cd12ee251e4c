"""An app that finds a service by `Discovery`, which knows nothing of the plugin, made where the app is loaded."""

import json
import os
import threading
import time
import urllib.parse

from uwsgi_consul import Discovery

discovery = Discovery(**json.loads(os.environ.get("DISCOVERY", "{}")))
if os.environ.get("BEFORE_FORK"):
    discovery.get(os.environ["BEFORE_FORK"])
threads_of_master = [thread.name for thread in threading.enumerate()]


def application(environ, start_response):
    asked = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"]))
    begun = time.perf_counter()
    try:
        found = discovery.get(asked["service"])
        answer = {"ids": [one["id"] for one in found], "stale": found.stale, "age": found.age}
    except Exception as error:
        answer = {"raised": type(error).__name__, "text": str(error)}
    answer["seconds"] = time.perf_counter() - begun
    answer["threads"] = [thread.name for thread in threading.enumerate()]
    answer["threads_of_master"] = threads_of_master
    answer["worker"] = os.getpid()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
