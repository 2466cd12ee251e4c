/* SPDX-License-Identifier: BSD-2-Clause
 * What all harnesses share: how an input becomes text, and how a broken property is told. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input; libFuzzer calls it again and again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of what is under test. */
#define must(condition) ((condition) ? (void) 0 : fuzz_broken(#condition, __FILE__, __LINE__))

static inline void __attribute__((noreturn)) fuzz_broken(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: this must hold: %s\n", file, line, condition);
	abort();
}

/* The input ended by 0, in a block of its own: a read beyond its end is noticed. Freed by the caller. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	return text;
}

/* The linker puts it in the place of the plugin's own: no input has a right to more memory than there is, nor to what libraries can't make. */
void __wrap_consul_allocation_failed(void) __attribute__((noreturn));
void __wrap_consul_allocation_failed(void)
{
	must(!"a library said no, and the process would end");
	abort();
}

/* Base64 of any bytes, as Consul writes them. Freed by the caller. */
static inline char *fuzz_base64(const uint8_t *data, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc(size / 3 * 4 + 5), *end = text;
	must(text);
	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		unsigned bits = (unsigned) data[i] << 16 | (left > 1 ? (unsigned) data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
		*end++ = digits[bits >> 18];
		*end++ = digits[bits >> 12 & 63];
		*end++ = '=';
		*end++ = '=';
		if (left > 1)
			end[-2] = digits[bits >> 6 & 63];
		if (left > 2)
			end[-1] = digits[bits & 63];
	}
	*end = 0;
	return text;
}

/* Bytes that a terminal would obey. */
static inline bool fuzz_has_controls(const char *text)
{
	for (const unsigned char *at = (const unsigned char *) text; *at; at++)
		if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
			return true;
	return false;
}

#endif
