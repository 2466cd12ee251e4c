"""An app that calls what a test tells it to call, of the functions in the module `uwsgi`, or evaluates an expression."""

import json
import time

import uwsgi


def ask(asked):
    arguments = [value.encode() if index in asked["bytes"] else value for index, value in enumerate(asked["arguments"])]
    return getattr(uwsgi, asked["function"])(*arguments, **asked["named"])


def read_often(asked):
    begin = time.perf_counter()
    for _ in range(asked["times"]):
        ask(asked)
    return (time.perf_counter() - begin) / asked["times"]


def application(environ, start_response):
    asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    try:
        answer = {"result": read_often(asked) if asked.get("times") else ask(asked)}
    except Exception as error:
        answer = {"raised": [kind.__name__ for kind in type(error).__mro__], "text": str(error)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
