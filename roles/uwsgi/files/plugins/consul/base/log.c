/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"

/* The core has 4096 bytes for a line, and of a longer one writes out what lies in memory behind them. */
#define LONGEST_LINE 2000

void consul_log(const char *format, ...)
{
	char line[LONGEST_LINE + 1];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	uwsgi_log_verbose("[consul] %s\n", line);
}
