/* SPDX-License-Identifier: BSD-2-Clause
 * What config.c is made of: each part reads its own options, completes them if need be, and clears what it made. */
#ifndef CONSUL_CONFIG_PARTS_H
#define CONSUL_CONFIG_PARTS_H

#include "config.h"
#include "options.h"

char *consul_connection_read(const struct consul_options *options, struct consul_connection *connection);
void consul_connection_add_agent(struct consul_connection *connection, const struct consul_address *agent); /* owns it from then on */
void consul_connection_clear(struct consul_connection *connection);

struct consul_service_config *consul_service_config_add(struct consul_config *config);
char *consul_service_config_read(const struct consul_options *options, struct consul_config *config);
char *consul_service_config_complete(struct consul_service_config *service, const char *node, const struct consul_endpoint *endpoint);
void consul_service_config_clear(struct consul_service_config *service);

/* What the old plugin's option shares with the services of ours. */
char *consul_service_take_name(const char *option, const char *text, void *service);
char *consul_service_take_id(const char *option, const char *text, void *service);
char *consul_service_take_port(const char *option, const char *text, void *service);
char *consul_service_take_address(const char *option, const char *text, void *service);
char *consul_service_take_tag(const char *option, const char *text, void *service);

char *consul_register_read(const struct consul_options *options, struct consul_config *config);

char *consul_watch_read(const struct consul_options *options, struct consul_config *config);
void consul_watch_config_clear(struct consul_watch_config *watch);

char *consul_election_read(const struct consul_options *options, struct consul_election_config *election);
void consul_election_config_clear(struct consul_election_config *election);

#endif
