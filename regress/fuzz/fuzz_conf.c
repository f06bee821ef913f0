/*
 * Any bytes as vm.conf, from a memfd.  Nothing that is included exists.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmd/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
report(void *arg, int warning, const char *file, uint32_t line,
    const char *text)
{
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct conf_opts o = { .report = report, .flags = CONF_FILES };
	struct conf *c;
	char path[64];
	int fd;

	if ((fd = memfd_create("vm.conf", MFD_CLOEXEC)) == -1 ||
	    write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if ((c = conf_load(path, &o)) != NULL)
		conf_check(c, &o);
	conf_free(c);
	close(fd);
	return 0;
}
