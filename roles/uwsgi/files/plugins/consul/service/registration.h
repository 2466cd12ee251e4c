/* SPDX-License-Identifier: BSD-2-Clause
 * What is said to Consul about a service, and what it says: paths and JSON. All texts are freed by the caller. */
#ifndef CONSUL_REGISTRATION_H
#define CONSUL_REGISTRATION_H

#include <stddef.h>

#include "verdict.h"

struct consul_service_config;

/* The key in the service's meta data that tells whose registration it is. Keys that begin with uwsgi- are the plugin's. */
#define CONSUL_NONCE_KEY "uwsgi-instance"

/* What the plugin adds to the service's meta data. */
struct consul_identity {
	const char *nonce;
	const char *version; /* of uWSGI */
	const char *mode; /* how the workers work */
	int master; /* the pid */
};

/* What is added to the service's id for the checks that the agent makes by itself. */
#define CONSUL_CHECK_HTTP ":http"
#define CONSUL_CHECK_TCP ":tcp"

enum consul_owner { CONSUL_OURS, CONSUL_ANOTHERS, CONSUL_UNCLEAR };

char *consul_registration_path(void);
char *consul_registration_body(const struct consul_service_config *config, const struct consul_identity *identity, enum consul_state state);
char *consul_update_path(const struct consul_service_config *config);
char *consul_update_body(enum consul_state state, const char *note);
char *consul_lookup_path(const struct consul_service_config *config);
enum consul_owner consul_lookup_owner(const char *body, size_t length, const char *nonce);
char *consul_deregistration_path(const struct consul_service_config *config);

#endif
