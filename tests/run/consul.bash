# shellcheck shell=bash
# To be sourced: a Consul of a script's own. Needs CONSUL_BIN and Python, and to be in the top folder.

# start_consul NODE LOG: starts an agent that is its own leader, ended with the script; `address` is where it answers.
start_consul() {
    local node=$1 log=$2 ports
    ports=$(PYTHONPATH=tests python -c 'from ports import free_port; print(*(free_port() for _ in range(4)))')
    read -r http server serf_lan serf_wan <<<"$ports"
    "$CONSUL_BIN" agent -dev -bind 127.0.0.1 -node "$node" \
        -hcl "ports { http = $http https = -1 grpc = -1 grpc_tls = -1 dns = -1 server = $server serf_lan = $serf_lan serf_wan = $serf_wan }" >"$log" 2>&1 &
    # shellcheck disable=SC2064 # the process of now
    trap "kill $!" EXIT
    # shellcheck disable=SC2034 # for the script that sources this
    address=127.0.0.1:$http
    for _ in {1..30}; do
        ! python -c 'import sys, urllib.request as r; sys.exit(r.urlopen(sys.argv[1]).read() == b"null\n")' "http://$address/v1/catalog/node/$node" 2>/dev/null || return 0
        sleep 1 # until the agent is its own leader
    done
    cat "$log" >&2
    return 1
}
