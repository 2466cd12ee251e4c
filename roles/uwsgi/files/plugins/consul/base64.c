/* SPDX-License-Identifier: BSD-2-Clause */
#include "base64.h"

#include <stdint.h>

static int digit(char letter)
{
	if (letter >= 'A' && letter <= 'Z')
		return letter - 'A';
	if (letter >= 'a' && letter <= 'z')
		return letter - 'a' + 26;
	if (letter >= '0' && letter <= '9')
		return letter - '0' + 52;
	return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

/* Four letters are three bytes; 0 for what are none. */
static size_t decode_group(const char *text, unsigned char *bytes)
{
	size_t letters = text[3] != '=' ? 4 : text[2] != '=' ? 3 : 2;
	uint32_t bits = 0;
	for (size_t i = 0; i < 4; i++) {
		int value = i < letters ? digit(text[i]) : 0;
		if (value < 0)
			return 0;
		bits = bits << 6 | (uint32_t) value;
	}
	for (size_t i = 0; i + 1 < letters; i++)
		bytes[i] = (unsigned char) (bits >> (16 - 8 * i));
	return letters - 1;
}

bool consul_base64_decode(const char *text, size_t length, unsigned char *bytes, size_t *count)
{
	*count = 0;
	if (length % 4)
		return false;
	for (size_t i = 0; i < length; i += 4) {
		size_t got = decode_group(text + i, bytes + *count);
		if (!got || (got < 3 && i + 4 < length))
			return false;
		*count += got;
	}
	return true;
}
