/* SPDX-License-Identifier: BSD-2-Clause
 * A list of texts that it owns. */
#ifndef CONSUL_LIST_H
#define CONSUL_LIST_H

#include <stddef.h>

struct consul_list {
	char **items;
	size_t count;
};

void consul_list_add(struct consul_list *list, const char *text); /* a copy of it */
struct consul_list consul_list_copy(const struct consul_list *list);
void consul_list_clear(struct consul_list *list);

#endif
