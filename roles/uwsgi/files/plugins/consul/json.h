/* SPDX-License-Identifier: BSD-2-Clause
 * jansson without its failures: it has none but the lack of memory, since every text was judged as UTF-8 before. */
#ifndef CONSUL_JSON_H
#define CONSUL_JSON_H

#include <jansson.h>

/* Each takes over `value`, and ends the process when there is no memory. */
json_t *consul_json(json_t *value);
void consul_json_set(json_t *object, const char *key, json_t *value);
void consul_json_append(json_t *array, json_t *value);

/* Consul's own notation of a time, which people can read too. */
json_t *consul_json_duration(long milliseconds);

/* The compact text, which the caller frees; the value is gone. */
char *consul_json_text(json_t *value);

/* A text from a JSON object, or "" where there is none. It lives as long as the object. */
const char *consul_json_string(const json_t *object, const char *key);

#endif
