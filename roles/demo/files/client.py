"""The demo's client: prints every server of every datacenter that the local Consul agent knows to be alive, again at each change."""

import argparse
import json
import sys
import time
import urllib.parse
import urllib.request


def ask(agent, path, **parameters):
    """The agent's answer to one request, see https://developer.hashicorp.com/consul/api-docs."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"http://{agent}/v1/{path}?{query}", timeout=5) as answer:
        return json.load(answer)


def servers(agent, service):
    """A line for every passing instance, in a stable order."""
    lines = []
    for datacenter in sorted(ask(agent, "catalog/datacenters")):
        for instance in ask(agent, f"health/service/{urllib.parse.quote(service)}", passing=1, dc=datacenter):
            node, registered = instance["Node"], instance["Service"]
            address = registered["Address"] or node["Address"]
            lines.append(f"{service} found on node {node['Node']} ({address}) using port {registered['Port']}")
    return sorted(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", nargs="?", default="consul-demo-server")
    parser.add_argument("--agent", default="127.0.0.1:8500", metavar="HOST:PORT")
    parser.add_argument("--interval", type=float, default=0.25, metavar="SECONDS", help="between two looks (%(default)s)")
    parser.add_argument("--once", action="store_true", help="look once and end; 1 where no server is found")
    arguments = parser.parse_args()

    last = None
    while True:
        try:
            found = servers(arguments.agent, arguments.service)
        except (OSError, ValueError) as error:
            found = [f"the agent {arguments.agent} does not answer: {error}"]
            if arguments.once:
                sys.exit(found[0])
        if found != last:
            print(
                f"--- {time.strftime('%H:%M:%S')}, {len(found)} found",
                *(found or [f"no {arguments.service} available"]),
                sep="\n",
                flush=True,
            )
            last = found
        if arguments.once:
            return 0 if found else 1
        time.sleep(arguments.interval)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
