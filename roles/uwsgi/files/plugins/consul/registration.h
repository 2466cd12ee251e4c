/* SPDX-License-Identifier: BSD-2-Clause
 * What is said to Consul about a service, and what it says: paths and JSON. All texts are freed by the caller. */
#ifndef CONSUL_REGISTRATION_H
#define CONSUL_REGISTRATION_H

#include <stddef.h>

#include "verdict.h"

struct consul_config;

/* The key in the service's meta data that tells whose registration it is. */
#define CONSUL_NONCE_KEY "uwsgi-instance"

enum consul_owner { CONSUL_OURS, CONSUL_ANOTHERS, CONSUL_UNCLEAR };

char *consul_registration_path(void);
char *consul_registration_body(const struct consul_config *config, const char *nonce, enum consul_state state);
char *consul_update_path(const struct consul_config *config);
char *consul_update_body(enum consul_state state, const char *note);
char *consul_lookup_path(const struct consul_config *config);
enum consul_owner consul_lookup_owner(const char *body, size_t length, const char *nonce);
char *consul_deregistration_path(const struct consul_config *config);

#endif
