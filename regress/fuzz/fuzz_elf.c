/* ELF files of both classes, little-endian: PVH and OpenBSD kernels. */

#include "regress/fuzz/boot_fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t file[1 << 16];

	if (len > sizeof(file) || len < 16)
		return 0;
	memcpy(file, data, len);
	memcpy(file, "\177ELF", 4);
	file[4] = 1 + (data[4] & 1);
	file[5] = 1;
	fuzz_boot(file, len, -1, NULL);
	return 0;
}
