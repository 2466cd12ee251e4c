/* SPDX-License-Identifier: BSD-2-Clause
 * The fields of one option: whatever text is written as the vassals' writer does (plugins/plugin_utils/_vassals.py) is read as it was. */
#include "fuzz.h"

#include "fields.h"

/* That writer puts in quotes what is empty or has one of these, and has nothing with blanks at its ends. */
static bool needs_quotes(const char *text)
{
	return !*text || strpbrk(text, ",\"\\=") || strchr(" \t", *text) || strchr(" \t", text[strlen(text) - 1]);
}

static char *write_value(char *end, const char *text, bool quoted)
{
	*end = 0;
	if (!quoted)
		return strcpy(end, text) + strlen(text);
	*end++ = '"';
	for (; *text; text++) {
		if (strchr("\\\"", *text))
			*end++ = '\\';
		*end++ = *text;
	}
	*end++ = '"';
	*end = 0;
	return end;
}

static void check_field(const struct consul_field *field, const char *key, const char *value)
{
	must(!strcmp(field->key, key) && !strcmp(field->value, value));
}

/* The text as the first part, as a value, and as a value with blanks around. */
static void check_round(const char *text, bool quoted)
{
	struct consul_fields fields;
	char *whole = malloc(6 * strlen(text) + 64);
	must(whole);
	char *end = write_value(whole, text, quoted);
	end = write_value(strcpy(end, ",key=") + 5, text, quoted);
	end = write_value(strcpy(end, " , other = ") + 11, text, quoted);
	strcpy(end, " ,last=1");
	must(!consul_fields_parse(whole, &fields));
	must(fields.count == 4);
	check_field(&fields.items[0], "", text);
	check_field(&fields.items[1], "key", text);
	check_field(&fields.items[2], "other", text);
	check_field(&fields.items[3], "last", "1");
	consul_fields_clear(&fields);
	free(whole);
}

/* Any text: what comes out of it can be written, and read again. */
static void check_any(const char *text)
{
	struct consul_fields fields;
	const char *fault = consul_fields_parse(text, &fields);
	size_t length = 0;
	for (size_t i = 0; i < fields.count; i++) {
		must(!strpbrk(fields.items[i].key, "=,\""));
		length += strlen(fields.items[i].key) + strlen(fields.items[i].value);
	}
	must(length <= strlen(text));
	must(fault || fields.count > 0);
	must(!fault || strchr(text, '"')); /* nothing else can be wrong */
	consul_fields_clear(&fields);
	must(!fields.items && !fields.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	check_any(text);
	check_round(text, true);
	if (!needs_quotes(text))
		check_round(text, false);
	free(text);
	return 0;
}
