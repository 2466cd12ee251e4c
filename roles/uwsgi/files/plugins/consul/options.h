/* SPDX-License-Identifier: BSD-2-Clause
 * The plugin's options as uWSGI hands them over: text only, judged later by config.c. */
#ifndef CONSUL_OPTIONS_H
#define CONSUL_OPTIONS_H

#include <stddef.h>

/* The values of one option in the order given. Of an option that is not repeatable the last one counts. */
struct consul_values {
	char **items;
	size_t count;
};

struct consul_options {
	struct consul_values agent;
	struct consul_values consistency_mode;
	struct consul_values service_id;
	struct consul_values service_name;
	struct consul_values service_tags;
	struct consul_values service_port;
	struct consul_values service_address;
	struct consul_values service_meta;
	struct consul_values token_file;
	struct consul_values check_ttl;
	struct consul_values check_deregister_after;
	struct consul_values timeout;
};

extern struct consul_options consul_options;

#endif
