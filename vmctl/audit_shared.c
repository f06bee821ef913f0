/*
 * What no process shows by itself: that guests share nothing.
 *
 * Each has a slot of ids, a pid namespace and memory that no other guest
 * has; its device processes are in the same slot and the same namespace, and
 * have the same memory.  passt has a slot for each of its processes.
 */

#include <string.h>

#include "lib/sandbox/sandbox.h"
#include "vmctl/audit.h"

long
check_slot(const struct look *l, uint32_t id)
{
	uint32_t slot = (id - l->map_base) / SB_SLOT_IDS;

	if (id < 1000 || id < l->map_base || id - l->map_base >= l->map_count ||
	    slot == (l->map_root - l->map_base) / SB_SLOT_IDS)
		return -1;
	return (long)slot;
}

static int
is_guest(const struct subject *s)
{
	return !s->ended &&
	    (s->info.kind == PROC_VM || s->info.kind == PROC_DEV);
}

/* "vm/NAME" of "vm/NAME/DEVICE". */
static size_t
guest_len(const char *name)
{
	size_t n = strcspn(name, "/");

	return name[n] == '/' ? n + 1 + strcspn(name + n + 1, "/") : n;
}

static int
same_guest(const struct subject *a, const struct subject *b)
{
	size_t n = guest_len(a->info.name);

	return n == guest_len(b->info.name) &&
	    strncmp(a->info.name, b->info.name, n) == 0;
}

static int
has_memory(const struct look *l, ino_t ino)
{
	unsigned int i;

	for (i = 0; i < l->nmemory; i++)
		if (l->memory[i] == ino)
			return 1;
	return 0;
}

/* In one guest it is the same for all, in two never. */
static void
compare_memory(struct subject *a, const struct look *b, int same)
{
	unsigned int i;

	for (i = 0; i < a->look.nmemory; i++)
		if (b->nmemory > 0 && has_memory(b, a->look.memory[i]) != same)
			a->other_memory = 1;
}

static void
compare(struct subject *a, const struct subject *b)
{
	int same = same_guest(a, b);

	compare_memory(a, &b->look, same);
	if (same)
		return;
	a->shared_slot |= a->slot == b->slot;
	a->shared_pids |= a->look.ns[LOOK_PID] == b->look.ns[LOOK_PID];
}

/* The range is that of vmm, in whose user namespace it is not. */
static long
passt_slot(const struct subject *s, size_t n, uint32_t id)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i].info.kind == PROC_VMM && !s[i].ended)
			return check_slot(&s[i].look, id);
	return -1;
}

static int
is_passt(const struct subject *s)
{
	return !s->ended && s->info.kind == PROC_PASST;
}

static void
compare_any(struct subject *a, const struct subject *b)
{
	if (is_guest(a) && is_guest(b))
		compare(a, b);
	else if (a != b && (is_guest(a) || is_passt(a)) &&
	    (is_guest(b) || is_passt(b)))
		a->shared_slot |= a->slot == b->slot;
}

void
check_shared(struct subject *s, size_t n)
{
	size_t i, j;

	for (i = 0; i < n; i++)
		if (is_guest(&s[i]))
			s[i].slot = check_slot(&s[i].look, s[i].look.uid[0]);
		else if (is_passt(&s[i]))
			s[i].slot = passt_slot(s, n, s[i].look.uid[0]);
	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			compare_any(&s[i], &s[j]);
}
