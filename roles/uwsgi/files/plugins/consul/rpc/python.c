/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "python.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#include "../base/json.h"
#include "../base/list.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../config/option_table.h"

/* Runs in the interpreter of the first app; the module `uwsgi` of any other one is another module. */
static const char source[] =
	"def _extend():\n"
	"    try:\n"
	"        import uwsgi\n"
	"    except ImportError:\n"
	"        return\n"
	"    def consul_health(state, note='', ttl=''):\n"
	"        \"\"\"Tell Consul how this instance is: passing, warning or critical, with a note for people.\n"
	"\n"
	"        The worse of this and of what the workers do counts, until the next call, or for `ttl` (30, '500ms', '5m').\n"
	"        Raises ValueError for a wrong argument, RuntimeError where no service is registered.\n"
	"        \"\"\"\n"
	"        answer = uwsgi.call(b'consul_health', str(state).encode(), str(note).encode(), b'' if ttl is None else str(ttl).encode())\n"
	"        if answer != b'true':\n"
	"            import json\n"
	"            failure = json.loads(answer or b'{\"error\": \"consul_health is not registered\"}')\n"
	"            raise (ValueError if 'argument' in failure else RuntimeError)(failure['error'])\n"
	"    uwsgi.consul_health = consul_health\n"
	"_extend()\n"
	"del _extend\n";

/* uWSGI's own table, `uwsgi.opt`, has only the last value of an option that is repeated: under Python 3 it does not find the one before. */
static char *options_source(void)
{
	json_t *options = consul_json(json_object());
	for (const struct uwsgi_option *option = consul_option_table; option->name; option++) {
		const struct consul_list *given = option->data;
		json_t *values = consul_json(json_array());
		for (size_t i = 0; i < given->count; i++) {
			/* A path may be no UTF-8. */
			json_t *value = json_string(given->items[i]);
			if (value)
				consul_json_append(values, value);
		}
		consul_json_set(options, option->name, values);
	}
	/* Without numbers and the like, JSON is Python. */
	char *text = consul_json_text(options);
	char *code = consul_format("try:\n    __import__('uwsgi').consul_options = %s\nexcept ImportError:\n    pass\n", text);
	free(text);
	return code;
}

/* No link to Python: it comes with uWSGI's own plugin for it, or not at all. */
static void *find(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}

void consul_python_extend(void)
{
	int (*is_initialized)(void) = find("Py_IsInitialized");
	int (*run)(const char *, void *) = find("PyRun_SimpleStringFlags");
	/* Right whether the plugin has let go of the interpreter's lock by now or not. */
	int (*ensure)(void) = find("PyGILState_Ensure");
	void (*release)(int) = find("PyGILState_Release");
	if (!is_initialized || !run || !ensure || !release || !is_initialized())
		return;
	int state = ensure();
	char *options = options_source();
	if (run(source, NULL) || run(options, NULL))
		consul_log("uwsgi.consul_health and uwsgi.consul_options could not be defined in Python");
	free(options);
	release(state);
}
