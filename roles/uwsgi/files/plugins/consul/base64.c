/* SPDX-License-Identifier: BSD-2-Clause */
#include "base64.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/* Its value, or 64 for what is no digit. */
static unsigned digit_value(char digit)
{
	const char *found = digit ? strchr(DIGITS, digit) : NULL;
	return found ? (unsigned) (found - DIGITS) : 64;
}

char *consul_base64_decode(const char *text, size_t *length)
{
	size_t digits = strlen(text);
	unsigned bits = 0;
	if (digits % 4)
		return NULL;
	while (digits && text[digits - 1] == '=' && digits % 4 != 2)
		digits--;
	char *bytes = consul_allocate(digits / 4 * 3 + 3, 1);
	*length = 0;
	for (size_t i = 0; i < digits; i++) {
		unsigned value = digit_value(text[i]);
		if (value == 64) {
			free(bytes);
			return NULL;
		}
		bits = bits << 6 | value;
		if (i % 4)
			bytes[(*length)++] = (char) (bits >> (6 - 2 * (i % 4)));
	}
	return bytes;
}
