/*
 * vmd-guest: the program of everything that runs below vmm and touches what
 * a guest wrote.  Its role is its first argument's zeroth word, so that
 * there is one text for all of them in memory.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "vmd/dev/dev.h"
#include "vmd/vm/vm.h"

static int
vioblk_main(void)
{
	return dev_main(&vioblk_ops);
}

/* No mapping of its own for large blocks: it may make none. */
static int
vionet_main(void)
{
	mallopt(M_MMAP_MAX, 0);
	return dev_main(&vionet_ops);
}

static int
vioscsi_main(void)
{
	return dev_main(&vioscsi_ops);
}

static const struct {
	const char *name;
	int (*main)(void);
} roles[] = {
	{ "vioblk", vioblk_main },
	{ "vionet", vionet_main },
	{ "vioscsi", vioscsi_main },
	{ "vm", vm_main },
};

int
main(int argc, char **argv)
{
	const char *name;
	size_t i;

	if (argc < 1 || argv[0] == NULL)
		return 2;
	name = strrchr(argv[0], '/');
	name = name == NULL ? argv[0] : name + 1;
	/* One heap: a second one would have malloc look at /proc. */
	mallopt(M_ARENA_MAX, 1);
	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(name, roles[i].name) == 0)
			return roles[i].main();
	fprintf(stderr, "vmd-guest: started by vmd only\n");
	return 2;
}
