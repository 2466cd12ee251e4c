/* SPDX-License-Identifier: BSD-2-Clause
 * What the plugin's sources need of uWSGI's core, where they run outside of it: for fuzz harnesses and benchmarks.
 * The log goes nowhere, but a line that the core could not take is an error here. */
#include <uwsgi.h>

/* The core's buffer for one line, the time in front of it included. */
#define LONGEST_LINE 4096

struct uwsgi_server uwsgi;

void uwsgi_log(const char *format, ...)
{
	char line[LONGEST_LINE];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length < 0 || length >= LONGEST_LINE) {
		fprintf(stderr, "a line of %d bytes for the log\n", length);
		abort();
	}
}

void uwsgi_log_verbose(const char *format, ...)
{
	char line[LONGEST_LINE];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length < 0 || length >= LONGEST_LINE)
		length = LONGEST_LINE; /* uwsgi_log() complains */
	uwsgi_log("%.*s%*s", length, line, 32, "");
}
