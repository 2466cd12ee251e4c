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

/* Bytes that a terminal would obey. */
static inline bool fuzz_has_controls(const char *text)
{
	for (const unsigned char *at = (const unsigned char *) text; *at; at++)
		if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
			return true;
	return false;
}

#endif
