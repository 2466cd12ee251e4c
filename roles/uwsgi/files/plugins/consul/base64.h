/* SPDX-License-Identifier: BSD-2-Clause
 * How Consul's JSON holds the values of keys. */
#ifndef CONSUL_BASE64_H
#define CONSUL_BASE64_H

#include <stddef.h>

/* The bytes, ended by a 0 that `length` does not count; the caller frees them. NULL where the text is no base64. */
char *consul_base64_decode(const char *text, size_t *length);

#endif
