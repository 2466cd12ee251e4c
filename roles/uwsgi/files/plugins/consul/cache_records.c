/* SPDX-License-Identifier: BSD-2-Clause */
#include "cache_records.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

struct head {
	uint64_t key_length;
	uint64_t length;
};

void consul_record_write(struct consul_text *file, const char *key, size_t key_length, const char *text, size_t length)
{
	struct head head = {key_length, length};
	consul_text_add(file, (const char *) &head, sizeof(head));
	consul_text_add(file, key, key_length);
	consul_text_add(file, text, length);
}

bool consul_records_read(const char *file, size_t size, consul_record each, void *context)
{
	while (size) {
		struct head head;
		if (size < sizeof(head))
			return false;
		memcpy(&head, file, sizeof(head));
		file += sizeof(head);
		size -= sizeof(head);
		if (head.key_length > size || head.length > size - head.key_length)
			return false;
		char *key = consul_copy(file, head.key_length);
		each(context, key, file + head.key_length, head.length);
		free(key);
		file += head.key_length + head.length;
		size -= head.key_length + head.length;
	}
	return true;
}
