/* SPDX-License-Identifier: BSD-2-Clause
 * The options' names, for uWSGI. Their values arrive in `consul_options`. */
#ifndef CONSUL_OPTION_TABLE_H
#define CONSUL_OPTION_TABLE_H

#include "../core.h"

extern struct uwsgi_option consul_option_table[];

#endif
