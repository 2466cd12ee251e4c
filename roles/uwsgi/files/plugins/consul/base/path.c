/* SPDX-License-Identifier: BSD-2-Clause */
#include "path.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"

bool consul_path_is_taken(const char *name)
{
	size_t length;
	if (!*name)
		return false;
	for (; *name; name += length + (name[length] == '/')) {
		length = strcspn(name, "/");
		if (!length || (length <= 2 && strspn(name, ".") >= length))
			return false;
	}
	return true;
}

static char *escape(const char *text, const char *plain)
{
	char *escaped = consul_allocate(3 * strlen(text) + 1, 1);
	char *end = escaped;
	for (; *text; text++) {
		if (strchr(plain, *text)) {
			*end++ = *text;
		} else {
			*end++ = '%';
			*end++ = "0123456789ABCDEF"[(unsigned char) *text >> 4];
			*end++ = "0123456789ABCDEF"[(unsigned char) *text & 15];
		}
	}
	return escaped;
}

static char *append(const char *before, char *escaped)
{
	char *path = consul_format("%s%s", before, escaped);
	free(escaped);
	return path;
}

char *consul_path(const char *before, const char *segment)
{
	return append(before, escape(segment, PLAIN));
}

char *consul_path_of_key(const char *before, const char *key)
{
	return append(before, escape(key, PLAIN "/"));
}

char *consul_path_add(char *path, const char *name, const char *value)
{
	char *escaped = escape(value ? value : "", PLAIN);
	char *longer = consul_format("%s%c%s%s%s", path, strchr(path, '?') ? '&' : '?', name, value ? "=" : "", escaped);
	free(escaped);
	free(path);
	return longer;
}
