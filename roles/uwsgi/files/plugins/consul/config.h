/* SPDX-License-Identifier: BSD-2-Clause
 * The options' values, judged and ready for use. */
#ifndef CONSUL_CONFIG_H
#define CONSUL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"

struct consul_options;

enum consul_consistency { CONSUL_DEFAULT, CONSUL_CONSISTENT, CONSUL_STALE };

struct consul_meta {
	char *key;
	char *value;
};

struct consul_config {
	struct consul_address *agents;
	size_t agents_count;
	enum consul_consistency consistency;
	char *token_file; /* or NULL */
	long ttl_ms;
	long deregister_after_ms; /* 0: never */
	long timeout_ms;
	char *name; /* NULL: this instance registers nothing */
	char *id; /* NULL until consul_config_complete() */
	int port; /* 0 until consul_config_complete() */
	char *address; /* or NULL */
	char **tags;
	size_t tags_count;
	struct consul_meta *meta;
	size_t meta_count;
};

/* NULL when all is well, else what is wrong, in words for the user (the caller frees it). */
char *consul_config_read(const struct consul_options *options, struct consul_config *config);

/* Settles what is known only once the sockets are bound. `port` is that of a socket, or 0. The result is as above. */
char *consul_config_complete(struct consul_config *config, const char *node, int port);

void consul_config_clear(struct consul_config *config);

#endif
