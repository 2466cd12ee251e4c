/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "abi.h"

#include <dlfcn.h>
#include <link.h>

/* The size that the running program gives its own `uwsgi`, or 0 where its symbols don't tell. */
static size_t size_in_program(void)
{
	Dl_info info;
	ElfW(Sym) *symbol = NULL;
	if (!dladdr1(&uwsgi, &info, (void **) &symbol, RTLD_DL_SYMENT) || !symbol)
		return 0;
	return symbol->st_size;
}

void consul_abi_check(void)
{
	size_t size = size_in_program();
	if (!size || size == sizeof(uwsgi))
		return;
	consul_log("this plugin was built for another uWSGI (%s; %zu bytes of state, here %zu): build it again with this one, "
		   "by PYTHON=python3 uwsgi --build-plugin SOURCES, where uwsgi is the one that loads it",
		   UWSGI_VERSION, sizeof(uwsgi), size);
	exit(1);
}
