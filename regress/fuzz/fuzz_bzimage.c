/* Linux bzImages: what is before the header is made to fit. */

#include "regress/fuzz/boot_fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t file[1 << 16];
	int initrd;

	if (len > sizeof(file))
		return 0;
	memset(file, 0, sizeof(file));
	memcpy(file, data, len);
	if (len < 0x206)
		len = 0x206;
	file[0x1fe] = 0x55;
	file[0x1ff] = 0xaa;
	memcpy(file + 0x202, "HdrS", 4);
	initrd = fuzz_file(file, 1000);
	fuzz_boot(file, len, initrd, "a=b");
	close(initrd);
	return 0;
}
