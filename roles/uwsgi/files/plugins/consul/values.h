/* SPDX-License-Identifier: BSD-2-Clause
 * What the options' values may look like. */
#ifndef CONSUL_VALUES_H
#define CONSUL_VALUES_H

#include <stdbool.h>
#include <stddef.h>

/* `10`, `10s`, `500ms`, `1m`, `2h`: false for anything else and for more than a year. */
bool consul_parse_duration(const char *text, long *milliseconds);

/* Digits only, at most ten of them. */
bool consul_parse_number(const char *text, long *number);

/* 1 to 65535, digits only. */
bool consul_parse_port(const char *text, int *port);

/* Not empty, valid UTF-8, no control characters: what Consul and a person can both read. */
bool consul_is_clean(const char *text);

/* The text without blanks at both ends; the caller frees it. */
char *consul_trim(const char *text, size_t length);

/* Copies as many whole characters of a UTF-8 text as fit in `size` bytes with the 0 at the end. */
void consul_cut(char *copy, size_t size, const char *text);

/* The text fit for a log line: control characters shown as `?`, cut after 200 bytes; the caller frees it. */
char *consul_printable(const char *text);

#endif
