/* SPDX-License-Identifier: BSD-2-Clause */
#include "trouble.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "log.h"
#include "memory.h"
#include "retry.h"

void consul_trouble_add(struct consul_trouble *trouble, const char *subject, const struct consul_answer *answer)
{
	if (trouble->failures < 1000)
		trouble->failures++;
	if (trouble->failures <= trouble->silent)
		return;
	char *key = consul_format("%s %ld", answer->agent, answer->status);
	if (!trouble->said || strcmp(trouble->said, key)) {
		char *line = consul_answer_describe(answer);
		consul_log("%s: %s; trying again", subject, line);
		free(line);
	}
	free(trouble->said);
	trouble->said = key;
}

void consul_trouble_end(struct consul_trouble *trouble, const char *subject)
{
	if (trouble->said)
		consul_log("%s: Consul answers again", subject);
	consul_trouble_clear(trouble);
}

int64_t consul_trouble_pause(const struct consul_trouble *trouble, int64_t most)
{
	return consul_retry_delay(trouble->failures, most < CONSUL_LONGEST_RETRY_MS ? most : CONSUL_LONGEST_RETRY_MS);
}

void consul_trouble_clear(struct consul_trouble *trouble)
{
	free(trouble->said);
	trouble->said = NULL;
	trouble->failures = 0;
}
