"""The demo's server: a WSGI app that says who answered. uWSGI registers it in Consul; nothing of that is in here."""

import json
import os
import socket


def application(environ, start_response):
    answer = {"node": socket.gethostname(), "port": int(environ["SERVER_PORT"]), "worker": os.getpid()}
    body = json.dumps(answer).encode() + b"\n"
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
