/*
 * MACs of interfaces: those of the configuration, and for the others a hash
 * that is always the same, so that a guest keeps its MAC whatever happens.
 * When two hashes are the same the later one is made again with a number,
 * which is kept in the file `macs' of the state directory, a line
 * "NAME INTERFACE NUMBER" each.
 */
#include <bsd/stdlib.h>
#include <bsd/sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net/mac.h"
#include "lib/util/log.h"
#include "vmd/parent/net_int.h"
#include "vmd/parent/statefile.h"

#define MACS_FILE "macs"
#define MACS_MAX  4096 /* lines */
#define MAX_NTH	  1000

struct macrow {
	TAILQ_ENTRY(macrow) entry;
	char name[VM_NAME_MAX];
	uint32_t idx;
	uint32_t nth;
};

struct macs {
	TAILQ_HEAD(, macrow) rows;
	size_t n;
	int dirfd;
};

static struct macrow *
find(const struct macs *t, const char *name, uint32_t idx)
{
	struct macrow *r;

	TAILQ_FOREACH(r, &t->rows, entry)
		if (r->idx == idx && strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

static int
set(struct macs *t, const char *name, uint32_t idx, uint32_t nth)
{
	struct macrow *r;

	if ((r = find(t, name, idx)) == NULL) {
		if (t->n >= MACS_MAX) {
			errno = ENOSPC;
			return -1;
		}
		if ((r = calloc(1, sizeof(*r))) == NULL)
			return -1;
		snprintf(r->name, sizeof(r->name), "%s", name);
		r->idx = idx;
		TAILQ_INSERT_TAIL(&t->rows, r, entry);
		t->n++;
	}
	r->nth = nth;
	return 0;
}

static const char *
parse_line(void *arg, char *line)
{
	struct macs *t = arg;
	const char *why;
	char *idx, *nth;
	uint32_t i, n;

	if ((idx = strchr(line, ' ')) == NULL ||
	    (nth = strchr(idx + 1, ' ')) == NULL)
		return "damaged";
	*idx++ = '\0';
	*nth++ = '\0';
	if (vm_name_check(line) != NULL)
		return "bad name";
	i = (uint32_t)strtonum(idx, 0, VM_MAX_NICS - 1, &why);
	if (why != NULL)
		return "bad interface";
	n = (uint32_t)strtonum(nth, 1, MAX_NTH, &why);
	if (why != NULL)
		return "bad number";
	return set(t, line, i, n) == -1 ? strerror(errno) : NULL;
}

struct macs *
macs_load(int dirfd)
{
	struct macs *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	TAILQ_INIT(&t->rows);
	t->dirfd = dirfd;
	if (statefile_read(dirfd, MACS_FILE, parse_line, t) != -1)
		return t;
	free(t);
	return NULL;
}

static void
drop_all(struct macs *t)
{
	struct macrow *r;

	while ((r = TAILQ_FIRST(&t->rows)) != NULL) {
		TAILQ_REMOVE(&t->rows, r, entry);
		free(r);
	}
	t->n = 0;
}

void
macs_free(struct macs *t)
{
	if (t == NULL)
		return;
	drop_all(t);
	free(t);
}

static int
write_rows(FILE *f, void *arg)
{
	const struct macs *t = arg;
	const struct macrow *r;

	TAILQ_FOREACH(r, &t->rows, entry)
		fprintf(f, "%s %u %u\n", r->name, r->idx, r->nth);
	return 0;
}

static void
save(struct macs *t)
{
	if (statefile_write(t->dirfd, MACS_FILE, 0644, write_rows, t) == -1)
		log_warn(MACS_FILE " not saved");
}

void
macs_clear(struct macs *t)
{
	if (t->n == 0)
		return;
	drop_all(t);
	save(t);
}

/* --- which one, and who has it -------------------------------------------- */

static const struct vm_spec *
spec_of(const struct vm *v)
{
	return v->run != NULL ? v->run : v->spec;
}

static uint32_t
nics_of(const struct vm_spec *s)
{
	return s->nnics > s->min_nics ? s->nnics : s->min_nics;
}

static int
given(const struct vm_spec *s, uint32_t idx)
{
	return idx < s->nnics && s->nics[idx].flags & NICF_LLADDR;
}

static void
hash(const struct vm *v, uint32_t idx, uint32_t nth, uint8_t mac[6])
{
	const struct parent *p = v->parent;

	net_mac(p->net->machine, p->state.tag, v->spec->name, idx, nth, mac);
}

/* What this interface has now, or would have. */
static void
mac_of(const struct vm *v, uint32_t idx, uint8_t mac[6])
{
	const struct vm_spec *s = spec_of(v);
	const struct macrow *r;

	if (given(s, idx)) {
		memcpy(mac, s->nics[idx].lladdr, 6);
		return;
	}
	r = find(v->parent->net->macs, v->spec->name, idx);
	hash(v, idx, r == NULL ? 0 : r->nth, mac);
}

/*
 * Another interface with this MAC.  One that is not up and whose MAC is
 * only a hash is nobody's yet, where `firm' is asked for.
 */
static const struct vm *
holder(const struct vm *v, uint32_t idx, const uint8_t mac[6], int firm,
    uint32_t *who)
{
	const struct vm *w;
	uint8_t other[6];
	uint32_t i;

	TAILQ_FOREACH(w, &v->parent->vms, entry)
		for (i = 0; i < nics_of(spec_of(w)); i++) {
			if ((w == v && i == idx) ||
			    (firm && !vm_is_up(w) && !given(spec_of(w), i)))
				continue;
			mac_of(w, i, other);
			if (memcmp(mac, other, 6) != 0)
				continue;
			*who = i;
			return w;
		}
	return NULL;
}

static int
assign_given(struct vm *v, uint32_t idx, uint8_t mac[6], char why[NET_WHY_LEN])
{
	const struct vm *w;
	uint32_t who;

	memcpy(mac, v->run->nics[idx].lladdr, 6);
	if ((w = holder(v, idx, mac, 1, &who)) == NULL)
		return 0;
	snprintf(why, NET_WHY_LEN,
	    "lladdr %02x:%02x:%02x:%02x:%02x:%02x is that of interface %u of "
	    "vm \"%s\"",
	    mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], who, w->spec->name);
	return -1;
}

int
macs_assign(struct vm *v, uint32_t idx, uint8_t mac[6], char why[NET_WHY_LEN])
{
	struct macs *t = v->parent->net->macs;
	const struct macrow *r = find(t, v->spec->name, idx);
	uint32_t nth = r == NULL ? 0 : r->nth, old = nth, who;

	if (given(v->run, idx))
		return assign_given(v, idx, mac, why);
	for (; nth <= MAX_NTH; nth++) {
		hash(v, idx, nth, mac);
		if (holder(v, idx, mac, 0, &who) == NULL)
			break;
	}
	if (nth > MAX_NTH) {
		snprintf(why, NET_WHY_LEN, "no MAC is free");
		return -1;
	}
	if (nth != old && set(t, v->spec->name, idx, nth) == -1)
		log_warn("%s: MAC not kept", v->spec->name);
	else if (nth != old)
		save(t);
	return 0;
}
