/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void consul_allocation_failed(void)
{
	static const char message[] = "[consul] out of memory\n";
	ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);
	_exit(written > 0 ? 1 : 2);
}

static void *or_end(void *block)
{
	if (!block)
		consul_allocation_failed();
	return block;
}

void *consul_allocate(size_t count, size_t size)
{
	return or_end(calloc(count ? count : 1, size));
}

void *consul_grow(void *block, size_t count, size_t size)
{
	return or_end(size && count > SIZE_MAX / size ? NULL : realloc(block, count * size));
}

char *consul_copy(const char *text, size_t length)
{
	char *copy = consul_allocate(length + 1, 1);
	memcpy(copy, text, length);
	return copy;
}

char *consul_format(const char *format, ...)
{
	va_list arguments;
	char *text = NULL;
	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	return or_end(length < 0 ? NULL : text);
}
