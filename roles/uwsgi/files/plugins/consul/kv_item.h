/* SPDX-License-Identifier: BSD-2-Clause
 * A key of Consul's store as apps see it. */
#ifndef CONSUL_KV_ITEM_H
#define CONSUL_KV_ITEM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The body of an answer of /v1/kv; NULL when it is no JSON. */
json_t *consul_kv_load(const char *body, size_t length);

/* Is it what Consul's API promises? */
bool consul_kv_is_entry(const json_t *entry);

/* The item of such an entry. Flags of more than 63 bits are rounded in it: exactly they are consul_kv_big_flags(). */
json_t *consul_kv_item(const json_t *entry);

/* Their digits, or NULL where they are no such number. */
const char *consul_kv_big_flags(const json_t *entry);

#endif
