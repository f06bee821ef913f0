/*
 * Numbers of link groups by their names, as iproute2 has them.  Read once,
 * before priv sees no file any more.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>

#include "vmd/priv/priv_int.h"

#define GROUP_FILE "/etc/iproute2/group"
#define MAX_GROUPS 256

static struct {
	char name[PRIV_GROUP_MAX + 1];
	uint32_t number;
} groups[MAX_GROUPS];
static size_t ngroups;

/* "number name"; what is none, or too long for us, is passed over. */
static void
read_line(const char *line)
{
	char name[64];
	unsigned int number;

	if (ngroups == MAX_GROUPS ||
	    sscanf(line, "%i %63s", (int *)&number, name) != 2 ||
	    strlen(name) > PRIV_GROUP_MAX)
		return;
	strlcpy(groups[ngroups].name, name, sizeof(groups[ngroups].name));
	groups[ngroups++].number = number;
}

void
group_read(void)
{
	char line[256];
	FILE *f;

	if ((f = fopen(GROUP_FILE, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		read_line(line);
	fclose(f);
}

int64_t
group_number(const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < ngroups; i++)
		if (strcmp(groups[i].name, name) == 0)
			return groups[i].number;
	return -1;
}
