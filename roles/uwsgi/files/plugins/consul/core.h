/* SPDX-License-Identifier: BSD-2-Clause
 * uWSGI's own header, whose warnings are not ours, and how this plugin writes to uWSGI's log. */
#ifndef CONSUL_CORE_H
#define CONSUL_CORE_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <uwsgi.h>
#pragma GCC diagnostic pop

extern struct uwsgi_server uwsgi;

/* One line in uWSGI's log. */
void consul_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
