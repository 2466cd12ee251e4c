/* SPDX-License-Identifier: BSD-2-Clause
 * How this plugin writes to uWSGI's log. */
#ifndef CONSUL_LOG_H
#define CONSUL_LOG_H

/* One line, cut when it is too long. */
void consul_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
