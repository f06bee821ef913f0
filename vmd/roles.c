/*
 * Every role of the program vmd, by name.  `vmd -P role' is how the parent
 * starts the others; nobody else does.
 */
#include <stddef.h>
#include <string.h>

#include "vmd/roles.h"

static const struct {
	const char *name;
	int (*main)(const struct proc_args *a);
} roles[] = {
	{ "control", control_main },
	{ "image", image_main },
	{ "opener", opener_main },
	{ "priv", priv_main },
	{ "vmm", vmm_main },
};

int
role_main(const struct proc_args *a)
{
	size_t i;

	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, a->role) == 0)
			return roles[i].main(a);
	return 1;
}
