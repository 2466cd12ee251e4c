/* SPDX-License-Identifier: BSD-2-Clause */
#include "option_table.h"
#include "options.h"

#include "memory.h"

struct consul_options consul_options;

static void add_value(char *option, char *value, void *values)
{
	struct consul_values *list = values;
	(void) option;
	list->items = consul_grow(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = consul_format("%s", value ? value : "");
}

/* Liveness is a matter of the master: every option turns it on, except those that an Emperor may share with all vassals. */
#define OPTION(name, field, flags, help) {name, required_argument, 0, help, add_value, &consul_options.field, flags}

struct uwsgi_option consul_option_table[] = {
	OPTION("consul-agent", agent, 0, "address of a Consul agent; repeat it or separate by commas, they are tried in order"),
	OPTION("consul-consistency-mode", consistency_mode, 0, "consistency of queries: default, consistent or stale"),
	OPTION("consul-service-id", service_id, UWSGI_OPT_MASTER, "id of the service (default: name-node-port)"),
	OPTION("consul-service-name", service_name, UWSGI_OPT_MASTER, "register this instance in Consul under this name"),
	OPTION("consul-service-tags", service_tags, UWSGI_OPT_MASTER, "tags of the service, separated by commas"),
	OPTION("consul-service-port", service_port, UWSGI_OPT_MASTER, "port of the service (default: that of the first http or TCP socket)"),
	OPTION("consul-service-address", service_address, UWSGI_OPT_MASTER, "address of the service (default: that of the node)"),
	OPTION("consul-service-meta", service_meta, UWSGI_OPT_MASTER, "key=value for the service's meta data; may be repeated"),
	OPTION("consul-token-file", token_file, 0, "file that holds the ACL token; read again when it changes"),
	OPTION("consul-check-ttl", check_ttl, 0, "the service is critical after this time without a sign of life (default: 10s)"),
	OPTION("consul-check-deregister-after", check_deregister_after, 0,
	       "Consul removes a service that was critical for this long, at least 1m; 0 is never (default: 10m)"),
	OPTION("consul-timeout", timeout, 0, "time in which an agent must answer (default: 2s)"),
	UWSGI_END_OF_OPTIONS
};
