/* SPDX-License-Identifier: BSD-2-Clause */
#include "values.h"

#include <string.h>

#include "memory.h"

#define YEAR_MS (366L * 24 * 3600 * 1000)

static bool read_number(const char **text, long limit, long *number)
{
	const char *digit = *text;
	long value = 0;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		value = value * 10 + (*digit - '0');
		if (value > limit)
			return false;
	}
	if (digit == *text)
		return false;
	*text = digit;
	*number = value;
	return true;
}

bool consul_parse_duration(const char *text, long *milliseconds)
{
	static const struct {
		const char *name;
		long milliseconds;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
	long number;
	if (!read_number(&text, YEAR_MS, &number))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].name))
			continue;
		if (number > YEAR_MS / units[i].milliseconds)
			return false;
		*milliseconds = number * units[i].milliseconds;
		return true;
	}
	return false;
}

bool consul_parse_number(const char *text, long *number)
{
	return read_number(&text, 9999999999L, number) && !*text;
}

bool consul_parse_port(const char *text, int *port)
{
	long number;
	if (!read_number(&text, 65535, &number) || *text || number < 1)
		return false;
	*port = (int) number;
	return true;
}

/* The length of the UTF-8 sequence at `text`, or 0 where there is none: overlong forms and surrogates are none. */
static size_t sequence_length(const unsigned char *text)
{
	size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if (length == 3 && ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f)))
		return 0;
	if (length == 4 && ((text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f)))
		return 0;
	return length;
}

static bool is_control(const unsigned char *text)
{
	return text[0] < 0x20 || text[0] == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0);
}

bool consul_is_clean(const char *text)
{
	const unsigned char *at = (const unsigned char *) text;
	if (!*at)
		return false;
	while (*at) {
		size_t length = sequence_length(at);
		if (!length || is_control(at))
			return false;
		at += length;
	}
	return true;
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

char *consul_trim(const char *text, size_t length)
{
	while (length && is_blank(text[0])) {
		text++;
		length--;
	}
	while (length && is_blank(text[length - 1]))
		length--;
	return consul_copy(text, length);
}

void consul_cut(char *copy, size_t size, const char *text)
{
	size_t length = strnlen(text, size);
	if (length == size)
		for (length--; length && ((unsigned char) text[length] & 0xc0) == 0x80;)
			length--;
	memcpy(copy, text, length);
	copy[length] = 0;
}

char *consul_printable(const char *text)
{
	size_t length = strnlen(text, 201);
	char *copy = consul_copy(text, length > 200 ? 200 : length);
	for (char *byte = copy; *byte; byte++)
		if ((unsigned char) *byte < 0x20 || *byte == 0x7f)
			*byte = '?';
	return copy;
}
