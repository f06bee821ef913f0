/*
 * Requests to a virtio disk, and sectors that say what they are.  See blk.h.
 */
#include "blk.h"

#define WORDS (SECTOR / 8)
#define MIX   0x9e3779b97f4a7c15ULL

int
blk_find(struct vdev *d, unsigned int n)
{
	return virtio_find(d, 4 + n / 8, n % 8) && d->config != 0 &&
	    pci_conf(d, 0) == 0x10421af4;
}

void
blk_header(uint64_t at, uint32_t type, uint64_t sector)
{
	store64(at, type);
	store64(at + 8, sector);
}

void
blk_range(uint64_t at, uint64_t sector, uint32_t n, uint32_t flags)
{
	store64(at, sector);
	store32(at + 8, n);
	store32(at + 12, flags);
}

uint64_t
sector_word(uint32_t s, uint32_t gen)
{
	return gen == 0 ? 0 : (uint64_t)gen << 32 | s;
}

void
sector_fill(uint64_t at, uint32_t s, uint32_t gen)
{
	uint64_t w = sector_word(s, gen), n = WORDS - 2, to = at + 8;

	store64(at, w);
	__asm__ volatile("rep stosq"
			 : "+D"(to), "+c"(n)
			 : "a"(w * MIX)
			 : "memory");
	store64(at + SECTOR - 8, gen == 0 ? 0 : ~w);
}

int
sector_is(uint64_t at, uint32_t s, uint32_t gen)
{
	uint64_t w = sector_word(s, gen);

	return load64(at) == w && load64(at + 8) == w * MIX &&
	    load64(at + 8 + 8 * (random32() % (WORDS - 2))) == w * MIX &&
	    load64(at + SECTOR - 8) == (gen == 0 ? 0 : ~w);
}

void
sector_spoil(uint64_t at)
{
	store64(at, 0xeeeeeeeeeeeeeeeeULL);
	store64(at + SECTOR - 8, 0xeeeeeeeeeeeeeeeeULL);
}

uint32_t
random32(void)
{
	static uint64_t x;

	if (x == 0)
		x = rdtsc();
	x = x * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(x >> 32);
}
