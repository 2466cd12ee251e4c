/* SPDX-License-Identifier: BSD-2-Clause */
#include "list.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

void consul_list_add(struct consul_list *list, const char *text)
{
	list->items = consul_grow(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = consul_copy(text, strlen(text));
}

struct consul_list consul_list_copy(const struct consul_list *list)
{
	struct consul_list copy = {0};
	for (size_t i = 0; i < list->count; i++)
		consul_list_add(&copy, list->items[i]);
	return copy;
}

void consul_list_clear(struct consul_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	memset(list, 0, sizeof(*list));
}
