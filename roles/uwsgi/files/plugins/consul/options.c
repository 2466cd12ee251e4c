/* SPDX-License-Identifier: BSD-2-Clause */
#include "option_table.h"
#include "options.h"

struct consul_options consul_options;

static void add_value(char *option, char *value, void *values)
{
	(void) option;
	consul_list_add(values, value ? value : "");
}

#define OPTION(name, field, flags, help) {name, required_argument, 0, help, add_value, &consul_options.field, flags}

/* What an Emperor may share with all vassals is for everybody and does nothing by itself; the rest needs the master, which knows the workers. */
#define SHARED(name, field, help) OPTION(name, field, 0, help)
#define MASTER(name, field, help) OPTION(name, field, UWSGI_OPT_MASTER, help)

struct uwsgi_option consul_option_table[] = {
	SHARED("consul-agent", agent, "address of a Consul agent; repeat it or separate by commas, they are tried in order"),
	SHARED("consul-consistency-mode", consistency_mode, "consistency of queries: default, consistent or stale"),
	SHARED("consul-datacenter", datacenter, "datacenter of queries (default: the agent's)"),
	SHARED("consul-token-file", token_file, "file that holds the ACL token; read again when it changes"),
	SHARED("consul-ca", ca, "file with the certificates of the authorities that agents' certificates are checked against"),
	SHARED("consul-cert", cert, "file with the client certificate for agents that ask for one"),
	SHARED("consul-key", key, "file with the private key of consul-cert"),
	SHARED("consul-timeout", timeout, "time in which an agent must answer (default: 2s)"),
	SHARED("consul-stop-timeout", stop_timeout, "time that a stop waits at most for the deregistration (default: 2s)"),
	MASTER("consul-service", service, "register this instance in Consul as name=...,port=...,...; repeat it for several services"),
	MASTER("consul-service-name", service_name, "register this instance in Consul under this name"),
	MASTER("consul-service-id", service_id, "id of the service (default: name-node-port)"),
	MASTER("consul-service-tags", service_tags, "tags of the service, separated by commas"),
	MASTER("consul-service-port", service_port, "port of the service (default: that of the first http or TCP socket)"),
	MASTER("consul-service-address", service_address, "address of the service (default: that of the node)"),
	MASTER("consul-service-meta", service_meta, "key=value for the service's meta data; may be repeated"),
	MASTER("consul-service-weights", service_weights, "weights of the service as PASSING or PASSING:WARNING"),
	SHARED("consul-check-ttl", check_ttl, "the service is critical after this time without a sign of life (default: 10s)"),
	SHARED("consul-check-http", check_http, "the agent asks this URL too, or this path of the service"),
	SHARED("consul-check-tcp", check_tcp, "the agent connects to this host:port too, or to the service itself (true)"),
	SHARED("consul-check-interval", check_interval, "how often consul-check-http and consul-check-tcp are made (default: 10s)"),
	SHARED("consul-check-deregister-after", check_deregister_after,
	       "Consul removes a service that was critical for this long, at least 1m; 0 is never (default: 10m)"),
	SHARED("consul-check-backlog", check_backlog, "warning when so many connections wait for a worker (default: 0, never)"),
	SHARED("consul-suspended", suspended, "state of a suspended instance: critical (default), warning or passing"),
	MASTER("consul-register", registers, "url=...,name=...,...: the option of the plugin uwsgi-consul, in its keys"),
	MASTER("consul-watch-service", watch_service, "keep the instances of a service in the cache: name[,tag=,dc=,status=,filter=,on-change=]"),
	MASTER("consul-watch-kv", watch_kv, "keep the keys under a prefix in the cache: prefix[,dc=,on-change=]"),
	MASTER("consul-watch-query", watch_query, "keep the result of a prepared query in the cache: name[,interval=,dc=,on-change=]"),
	SHARED("consul-cache", cache, "name of the uWSGI cache that the watches write (default: consul)"),
	MASTER("consul-election", election, "elect one leader among all instances that take part: name[,ttl=,lock-delay=,key=]"),
	MASTER("consul-election-gain", election_gain, "command that is run when this instance becomes the leader; may be repeated"),
	MASTER("consul-election-loss", election_loss, "command that is run when it is the leader no longer; may be repeated"),
	MASTER("consul-cron", cron, "minute hour day month week command: run on the leader only"),
	MASTER("consul-unique-cron", unique_cron, "the same, but never while the last one is still running"),
	UWSGI_END_OF_OPTIONS
};
