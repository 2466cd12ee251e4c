/* SPDX-License-Identifier: BSD-2-Clause
 * An instance of a service as apps see it. */
#ifndef CONSUL_INSTANCE_H
#define CONSUL_INSTANCE_H

#include <jansson.h>

/* From one entry of an answer of /v1/health/service; NULL when it is none. */
json_t *consul_instance(const json_t *entry);

#endif
