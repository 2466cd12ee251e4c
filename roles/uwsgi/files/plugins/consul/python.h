/* SPDX-License-Identifier: BSD-2-Clause
 * What apps in Python find in the module `uwsgi`. */
#ifndef CONSUL_PYTHON_H
#define CONSUL_PYTHON_H

/* After the Python plugin has made the module, before apps are loaded. Does nothing in a process without Python. */
void consul_python_extend(void);

#endif
