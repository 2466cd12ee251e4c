/* SPDX-License-Identifier: BSD-2-Clause
 * Drives the plugin's own service, client and connection through very many heartbeats at full speed, and says now and then what memory they have.
 *
 * usage: endurance AGENT ID HEARTBEATS. The time that the service is told runs ahead of the clock, so that its next heartbeat is always due. */
#include "core.h"

#include <malloc.h>

#include "client.h"
#include "clock.h"
#include "config.h"
#include "http.h"
#include "memory.h"
#include "option_table.h"
#include "options.h"
#include "registration.h"
#include "service.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define ANSWER_MS 10000

struct uwsgi_server uwsgi;

void uwsgi_log(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fflush(stdout);
}

void uwsgi_log_verbose(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fflush(stdout);
}

static void end_with(const char *what)
{
	fprintf(stderr, "%s\n", what);
	_exit(1);
}

static void give(const char *option, const char *value)
{
	for (struct uwsgi_option *known = consul_option_table; known->name; known++)
		if (!strcmp(known->name, option))
			known->func(known->name, (char *) value, known->data);
}

static void configure(struct consul_config *config, const char *agent, const char *id)
{
	static const struct consul_endpoint endpoint = {.port = 8080};
	give("consul-agent", agent);
	give("consul-service-name", id);
	give("consul-service-id", id);
	char *problem = consul_config_read(&consul_options, config);
	if (!problem)
		problem = consul_config_complete(config, "node", &endpoint);
	if (problem)
		end_with(problem);
}

/* One request and its answer. */
static void exchange(struct consul_http *http, struct consul_service *service, const struct consul_verdict *verdict)
{
	int64_t asked = consul_now(), due = consul_service_due(service);
	consul_service_tick(service, verdict, due == INT64_MAX ? asked : due);
	do {
		if (!consul_http_wait(http, NULL, 0, ANSWER_MS))
			end_with("poll() failed");
		if (consul_now() - asked >= ANSWER_MS)
			end_with("an answer that came too late, or was told too late");
	} while (consul_service_due(service) == INT64_MAX);
}

static long resident_kib(void)
{
	long pages = 0, unused;
	FILE *file = fopen("/proc/self/statm", "r");
	if (!file || fscanf(file, "%ld %ld", &unused, &pages) != 2)
		end_with("no /proc/self/statm");
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void report(long heartbeats, int64_t since)
{
	printf("heartbeats %ld resident %ld KiB heap %zu bytes after %lld ms\n", heartbeats, resident_kib(), mallinfo2().uordblks,
	       (long long) (consul_now() - since));
	fflush(stdout);
}

int main(int count, char **arguments)
{
	struct consul_config config;
	const struct consul_identity identity = {.nonce = NONCE, .version = UWSGI_VERSION, .mode = "endurance", .master = (int) getpid()};
	struct consul_verdict verdict = {.state = CONSUL_PASSING, .complete = true};
	if (count != 4)
		end_with("usage: endurance AGENT ID HEARTBEATS");
	long heartbeats = atol(arguments[3]);
	configure(&config, arguments[1], arguments[2]);
	struct consul_http *http = consul_http_new(1);
	if (!http)
		end_with("libcurl can't be used");
	struct consul_client *client = consul_client_new(http, &config.connection);
	struct consul_service *service = consul_service_new(client, config.services, &identity, false);
	int64_t started = consul_now();
	exchange(http, service, &verdict); /* the registration */
	for (long i = 1; i <= heartbeats; i++) {
		snprintf(verdict.note, sizeof(verdict.note), "heartbeat %ld", i);
		exchange(http, service, &verdict);
		if (i == heartbeats / 100 || i % (heartbeats / 5) == 0)
			report(i, started);
	}
	consul_service_free(service);
	consul_client_free(client);
	consul_http_free(http);
	consul_config_clear(&config);
	return 0;
}
