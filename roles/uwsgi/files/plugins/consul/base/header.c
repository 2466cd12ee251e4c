/* SPDX-License-Identifier: BSD-2-Clause */
#include "header.h"

#include <stdbool.h>
#include <strings.h>

#define NAME "x-consul-index:"
#define NAME_LENGTH (sizeof(NAME) - 1)

void consul_header_index(const char *line, size_t length, uint64_t *index)
{
	uint64_t value = 0;
	size_t i = NAME_LENGTH;
	if (length <= NAME_LENGTH || strncasecmp(line, NAME, NAME_LENGTH))
		return;
	while (i < length && line[i] == ' ')
		i++;
	size_t digits = i;
	for (; i < length && line[i] >= '0' && line[i] <= '9'; i++) {
		if (value > (UINT64_MAX - 9) / 10)
			return;
		value = value * 10 + (uint64_t) (line[i] - '0');
	}
	bool any = i > digits;
	while (i < length && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r' || line[i] == '\n'))
		i++;
	if (any && i == length)
		*index = value;
}
