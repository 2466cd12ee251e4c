/* SPDX-License-Identifier: BSD-2-Clause
 * The plugin's options as uWSGI hands them over: text only, in the order given, judged later by config.c. */
#ifndef CONSUL_OPTIONS_H
#define CONSUL_OPTIONS_H

#include "list.h"

struct consul_options {
	struct consul_list agent, consistency_mode, datacenter, token_file, ca, cert, key, timeout, stop_timeout;
	struct consul_list service, service_id, service_name, service_tags, service_port, service_address, service_meta, service_weights;
	struct consul_list check_ttl, check_http, check_tcp, check_interval, check_deregister_after, check_backlog, suspended;
	struct consul_list registers;
	struct consul_list watch_service, watch_kv, watch_query, cache;
	struct consul_list election, election_gain, election_loss, cron, unique_cron;
};

extern struct consul_options consul_options;

#endif
