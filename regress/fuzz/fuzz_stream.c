/*
 * A stream of frames from a hostile passt(1), in pieces as the first bytes
 * say, with a process that is replaced now and then.
 */
#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmd/dev/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stream s;

static void
take(void)
{
	static volatile uint8_t sink;
	const uint8_t *f;
	ssize_t n;

	while ((n = stream_read(&s, &f)) != -1) {
		if (n < 14 || n > STREAM_FRAME)
			abort();
		sink = (uint8_t)(sink + f[0] + f[n - 1]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t where = 0;
	int sv[2], i;
	size_t n;

	if (size < 9 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		return 0;
	for (i = 0; i < 8; i++)
		where = where << 8 | data[i];
	stream_init(&s, sv[0], where);
	for (data += 8, size -= 8; size > 0; data += n, size -= n) {
		n = data[0] % 37 + 1u;
		n = n < size ? n : size;
		if (write(sv[1], data, n) != (ssize_t)n)
			break;
		take();
		if (data[0] == 0xff && !s.ended)
			stream_init(&s, sv[0], s.where);
	}
	close(sv[1]);
	take();
	if (!s.ended)
		abort();
	close(sv[0]);
	return 0;
}
