/*
 * Which processes are below another: all of /proc, by the parent of each.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmctl/audit.h"

struct entry {
	pid_t pid;
	pid_t ppid;
	int below;
};

/* Its parent; 0 if it has ended, also if nobody has reaped it yet. */
static pid_t
parent_pid(pid_t pid)
{
	char path[64], line[1024], *paren, state;
	int ppid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	fclose(f);
	/* The name before it may hold anything. */
	if ((paren = strrchr(line, ')')) == NULL ||
	    sscanf(paren + 1, " %c %d", &state, &ppid) != 2 || state == 'Z' ||
	    state == 'X')
		return 0;
	return ppid;
}

int
look_alive(pid_t pid)
{
	if (parent_pid(pid) != 0)
		return 1;
	errno = ESRCH;
	return 0;
}

static ssize_t
all(struct entry **list)
{
	struct entry *l = NULL, *grown;
	const struct dirent *e;
	size_t n = 0;
	DIR *d;

	if ((d = opendir("/proc")) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		if ((grown = reallocarray(l, n + 1, sizeof(*l))) == NULL) {
			free(l);
			closedir(d);
			return -1;
		}
		l = grown;
		l[n].pid = (pid_t)strtol(e->d_name, NULL, 10);
		l[n].ppid = parent_pid(l[n].pid);
		l[n].below = 0;
		n += l[n].ppid != 0;
	}
	closedir(d);
	*list = l;
	return (ssize_t)n;
}

/* Mark the children of what is marked, until there are no more. */
static void
mark(struct entry *l, size_t n, pid_t pid)
{
	size_t i, j;
	int more = 1;

	while (more) {
		more = 0;
		for (i = 0; i < n; i++) {
			if (l[i].below)
				continue;
			for (j = 0; j < n; j++)
				if (l[j].below && l[j].pid == l[i].ppid)
					break;
			l[i].below = l[i].ppid == pid || j < n;
			more |= l[i].below;
		}
	}
}

ssize_t
look_below(pid_t pid, pid_t **pids)
{
	struct entry *l = NULL;
	ssize_t n, i, found = 0;

	if ((n = all(&l)) == -1)
		return -1;
	mark(l, (size_t)n, pid);
	if ((*pids = calloc((size_t)n + 1, sizeof(**pids))) == NULL) {
		free(l);
		return -1;
	}
	for (i = 0; i < n; i++)
		if (l[i].below)
			(*pids)[found++] = l[i].pid;
	free(l);
	return found;
}
