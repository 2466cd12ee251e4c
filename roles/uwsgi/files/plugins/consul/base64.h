/* SPDX-License-Identifier: BSD-2-Clause
 * How Consul writes the values of keys. */
#ifndef CONSUL_BASE64_H
#define CONSUL_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Decodes into `bytes`, which has room for 3/4 of the text; false for what is no base64 with its padding. */
bool consul_base64_decode(const char *text, size_t length, unsigned char *bytes, size_t *count);

#endif
