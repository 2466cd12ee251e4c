/* SPDX-License-Identifier: BSD-2-Clause
 * uWSGI's own header, whose warnings are not ours. */
#ifndef CONSUL_CORE_H
#define CONSUL_CORE_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <uwsgi.h>
#pragma GCC diagnostic pop

#include "log.h"

extern struct uwsgi_server uwsgi;

#endif
