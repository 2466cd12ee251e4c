/* SPDX-License-Identifier: BSD-2-Clause
 * One option's value of the form `word,key=value,key="quoted, value"`. */
#ifndef CONSUL_FIELDS_H
#define CONSUL_FIELDS_H

#include <stddef.h>

struct consul_field {
	char *key; /* "" for a part without `=` */
	char *value;
};

struct consul_fields {
	struct consul_field *items;
	size_t count;
};

/* NULL when all is well, else what is wrong, in static words. In quotes, \" stands for " and \\ for \. Clear the fields in both cases. */
const char *consul_fields_parse(const char *text, struct consul_fields *fields);
void consul_fields_clear(struct consul_fields *fields);

#endif
