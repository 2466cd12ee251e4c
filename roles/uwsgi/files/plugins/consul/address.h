/* SPDX-License-Identifier: BSD-2-Clause
 * The address of one Consul agent. */
#ifndef CONSUL_ADDRESS_H
#define CONSUL_ADDRESS_H

#include <stdbool.h>

struct consul_address {
	char *name; /* as the user wrote it, for the log */
	char *base; /* scheme, host and port; what a path is appended to */
	char *unix_path; /* of a unix socket, or NULL */
};

/* Reads `host[:port]`, `[::1][:port]`, `http(s)://host[:port][/path]` or `unix:///path`; no port means Consul's own, 8500 (https: 8501). False
 * when it is none of them. */
bool consul_address_parse(const char *text, struct consul_address *address);

/* Reads `http(s)://host[:port][/path]`, where no port means that of the scheme. */
bool consul_address_parse_url(const char *text, struct consul_address *address);
void consul_address_clear(struct consul_address *address);

#endif
