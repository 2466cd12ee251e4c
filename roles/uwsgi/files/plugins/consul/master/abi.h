/* SPDX-License-Identifier: BSD-2-Clause
 * uWSGI loads a plugin that was built for another version of it, which then reads memory at the wrong places. This one refuses. */
#ifndef CONSUL_ABI_H
#define CONSUL_ABI_H

/* Ends the process, with a message, in a uWSGI that this plugin was not built for. Touches nothing of the core's memory. */
void consul_abi_check(void);

#endif
