"""Prints the servers of the demo that are alive, again every second."""

import time

from uwsgi_consul import Discovery

discovery = Discovery()
while True:
    servers = discovery.get("consul-demo-server")
    lines = ["{service} found on node {node} ({address}) using port {port}".format(**server) for server in servers]
    print("\n".join(lines) or "no consul-demo-server available", flush=True)
    time.sleep(1)
