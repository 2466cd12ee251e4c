"""The demo's client: prints every server of every datacenter that the local Consul agent knows to be alive, again at each change."""

import argparse
import sys
import time

# Where the role `uwsgi` puts the library; a program with a virtual environment of its own would have it there.
sys.path.append("/usr/local/lib/uwsgi-consul/current")

from uwsgi_consul import Api, ConsulError, Discovery


def servers(api, discovery, service):
    """A line for every passing instance, in a stable order."""
    datacenters = api.request("GET", "/v1/catalog/datacenters").json()
    found = [instance for datacenter in datacenters for instance in discovery.get(service, datacenters=[datacenter])]
    return sorted(f"{service} found on node {one['node']} ({one['address']}) using port {one['port']}" for one in found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", nargs="?", default="consul-demo-server")
    parser.add_argument("--agent", default="127.0.0.1:8500", metavar="HOST:PORT")
    parser.add_argument("--interval", type=float, default=0.25, metavar="SECONDS", help="between two looks (%(default)s)")
    parser.add_argument("--once", action="store_true", help="look once and end; 1 where no server is found")
    arguments = parser.parse_args()

    api = Api(agents=arguments.agent)
    discovery = Discovery(api)
    last = None
    while True:
        try:
            found = servers(api, discovery, arguments.service)
        except ConsulError as error:
            found = [str(error)]
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
