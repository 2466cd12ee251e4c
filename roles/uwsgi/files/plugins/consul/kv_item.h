/* SPDX-License-Identifier: BSD-2-Clause
 * A key of Consul's store as apps see it. */
#ifndef CONSUL_KV_ITEM_H
#define CONSUL_KV_ITEM_H

#include <jansson.h>

/* From one entry of an answer of /v1/kv; NULL when it is none. */
json_t *consul_kv_item(const json_t *entry);

#endif
