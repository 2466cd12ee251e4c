/* SPDX-License-Identifier: BSD-2-Clause
 * Durations, ports and text, each against a second opinion. */
#include "fuzz.h"

#include <jansson.h>

#include "values.h"

#define YEAR_MS (366ULL * 24 * 3600 * 1000)

/* Milliseconds of one unit, or 0 for what is none. */
static unsigned long long unit_of(const char *name)
{
	return !strcmp(name, "ms") ? 1 : !strcmp(name, "s") || !*name ? 1000 : !strcmp(name, "m") ? 60000 : !strcmp(name, "h") ? 3600000 : 0;
}

static void check_duration(const char *text)
{
	long milliseconds = -1;
	size_t digits = strspn(text, "0123456789");
	unsigned long long unit = unit_of(text + digits);
	/* Saturates, which is far over a year. */
	unsigned long long number = strtoull(digits ? text : "0", NULL, 10);
	bool right = digits && unit && number <= YEAR_MS / unit;
	must(consul_parse_duration(text, &milliseconds) == right);
	must(milliseconds == (right ? (long) (number * unit) : -1));
}

static void check_port(const char *text)
{
	int port = -1;
	bool right = *text && strspn(text, "0123456789") == strlen(text) && strtoull(text, NULL, 10) >= 1 && strtoull(text, NULL, 10) <= 65535;
	must(consul_parse_port(text, &port) == right);
	must(port == (right ? atoi(text) : -1));
}

static void check_number(const char *text)
{
	long number;
	bool right = *text && strspn(text, "0123456789") == strlen(text) && strtoull(text, NULL, 10) <= 9999999999;
	must(consul_parse_number(text, &number) == right);
	must(!right || number == strtol(text, NULL, 10));
}

static void check_cut(const char *text)
{
	char copy[16];
	consul_cut(copy, sizeof(copy), text);
	must(strlen(copy) < sizeof(copy) && !strncmp(copy, text, strlen(copy)));
	must(strlen(text) >= sizeof(copy) || !strcmp(copy, text));
	/* Whole characters, and as many as fit: none has more than 4 bytes. */
	must(!consul_is_clean(text) || (consul_is_clean(copy) && strlen(copy) + 4 >= (strlen(text) < sizeof(copy) ? strlen(text) : sizeof(copy))));
}

static void check_clean(const char *text)
{
	json_t *json = json_string(text); /* NULL for what is no UTF-8 */
	must(consul_is_clean(text) == (json && *text && !fuzz_has_controls(text)));
	json_decref(json);
}

static void check_trim(const char *text)
{
	char *trimmed = consul_trim(text, strlen(text));
	size_t length = strlen(trimmed);
	must(!length || (!strchr(" \t", trimmed[0]) && !strchr(" \t", trimmed[length - 1])));
	must(strstr(text, trimmed));
	must(length == strlen(text) || strlen(text) > length);
	must(length || strspn(text, " \t") == strlen(text));
	free(trimmed);
}

static void check_printable(const char *text)
{
	char *printable = consul_printable(text);
	must(strlen(printable) <= 200);
	must(!*printable || consul_is_clean(printable));
	must(!*printable == !*text);
	must(!consul_is_clean(text) || !strncmp(text, printable, strlen(printable)));
	free(printable);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	check_duration(text);
	check_port(text);
	check_number(text);
	check_cut(text);
	check_clean(text);
	check_trim(text);
	check_printable(text);
	free(text);
	return 0;
}
