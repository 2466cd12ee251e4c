/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "cache_handover.h"

#include "../base/memory.h"
#include "../config/config.h"
#include "cache.h"
#include "cache_records.h"
#include "watch_key.h"

/* Not UWSGI_...: the core takes those for options. */
#define VARIABLE "CONSUL_PLUGIN_CACHE"
#define NAME "consul cache"
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int taken = -1;

/* The variable may be anybody's, and so the descriptor: ours is a file that nobody can change any more, as only a file without a name can be. The
 * kernel may have added a seal of its own. */
static bool is_ours(int descriptor, int seals)
{
	struct stat file;
	return (seals & SEALS) == SEALS && !fstat(descriptor, &file) && S_ISREG(file.st_mode) && file.st_uid == geteuid();
}

static void take(int descriptor)
{
	int seals = descriptor > STDERR_FILENO ? fcntl(descriptor, F_GET_SEALS) : -1;
	if (seals < 0)
		return; /* no file without a name: somebody else's */
	if (is_ours(descriptor, seals) && !fcntl(descriptor, F_SETFD, FD_CLOEXEC))
		taken = descriptor;
	else
		close(descriptor); /* refused, but nobody shall inherit it */
}

void consul_cache_handover_take(void)
{
	const char *text = getenv(VARIABLE);
	char *after = NULL;
	if (!text)
		return;
	long number = strtol(text, &after, 10);
	if (*text && !*after && number == (long) (int) number)
		take((int) number);
	if (unsetenv(VARIABLE))
		uwsgi_error("[consul] unsetenv()");
}

struct reading {
	struct uwsgi_cache *cache;
	const struct consul_config *config;
};

static bool is_wanted(const struct consul_config *config, const char *key)
{
	for (size_t i = 0; i < config->watches_count; i++)
		if (consul_watch_has_key(&config->watches[i], key))
			return true;
	return config->watches_count && !strcmp(key, CONSUL_KEY_OF_AGENT);
}

static void take_item(void *context, const char *key, const char *text, size_t length)
{
	const struct reading *reading = context;
	/* What does not fit any more comes with the first answer, and is said then. */
	if (is_wanted(reading->config, key))
		consul_cache_set(reading->cache, key, text, length);
}

static void read_all(const struct reading *reading, int descriptor)
{
	struct stat file;
	if (fstat(descriptor, &file) || !file.st_size)
		return;
	char *records = mmap(NULL, (size_t) file.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
	if (records == MAP_FAILED) {
		uwsgi_error("[consul] mmap()");
		return;
	}
	consul_records_read(records, (size_t) file.st_size, take_item, (void *) reading);
	munmap(records, (size_t) file.st_size);
}

void consul_cache_handover_read(struct uwsgi_cache *cache, const struct consul_config *config)
{
	const struct reading reading = {cache, config};
	if (taken < 0)
		return;
	if (cache)
		read_all(&reading, taken);
	close(taken);
	taken = -1;
}

struct writing {
	int descriptor;
	bool good;
};

static void write_item(void *context, const char *key, size_t key_length, const char *text, size_t length)
{
	struct writing *writing = context;
	struct consul_text record = {0};
	consul_record_write(&record, key, key_length, text, length);
	for (size_t done = 0; writing->good && done < record.length;) {
		ssize_t written = write(writing->descriptor, record.bytes + done, record.length - done);
		if (written > 0)
			done += (size_t) written;
		else
			writing->good = written < 0 && errno == EINTR;
	}
	consul_text_clear(&record);
}

static void leave(int descriptor)
{
	char *number = consul_format("%d", descriptor);
	/* The core closes all that it does not know of. */
	uwsgi_add_safe_fd(descriptor);
	if (setenv(VARIABLE, number, 1) || fcntl(descriptor, F_SETFD, 0))
		uwsgi_error("[consul] setenv()");
	free(number);
}

void consul_cache_handover_leave(struct uwsgi_cache *cache)
{
	struct writing writing = {.descriptor = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING), .good = true};
	if (writing.descriptor < 0) {
		uwsgi_error("[consul] memfd_create()");
		return;
	}
	/* Half of it would be worse than nothing, which is asked for anew. */
	writing.good = consul_cache_each(cache, write_item, &writing) && writing.good;
	if (writing.good && !fcntl(writing.descriptor, F_ADD_SEALS, SEALS)) {
		leave(writing.descriptor);
		return;
	}
	consul_log("the cache could not be handed over: the next life of the app begins with what Consul answers then");
	close(writing.descriptor);
}
