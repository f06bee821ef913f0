/*
 * Any file as a kernel, also gzipped, with or without initrd and command
 * line: the first byte says which.
 */

#include "regress/fuzz/boot_fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char cmdline[256];
	int initrd = -1;

	if (len < 1)
		return 0;
	memset(cmdline, 'x', data[0] & 0x7f);
	cmdline[data[0] & 0x7f] = '\0';
	if ((data[0] & 0x80) != 0)
		initrd = fuzz_file(data, len);
	fuzz_boot(data + 1, len - 1, initrd,
	    (data[0] & 0x7f) == 0x7f ? NULL : cmdline);
	if (initrd != -1)
		close(initrd);
	return 0;
}
