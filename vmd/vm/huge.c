/*
 * Guest memory in huge pages; see huge.h.
 *
 * A part of the memory is worth a huge page once a quarter of it is in use:
 * QEMU and khugepaged take them earlier, but then a guest that does little
 * keeps much.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <event2/event.h>

#include "lib/util/gmem.h"
#include "lib/util/log.h"
#include "vmd/vm/huge.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGE	4096
#define PAGES	(GMEM_HUGE / PAGE)
#define ENOUGH	(PAGES / 4)
#define LOOKS	512 /* parts in one look: 2 ms */
#define MADE	4   /* pages made in one look: 5 ms */
#define REFUSED 8   /* then this kernel makes none */
#define SOON_MS 100
#define LATE_MS 10000

struct huge {
	const struct gmem *mem;
	struct event *ev;
	unsigned int ms; /* to the next look */
	size_t n, next;	 /* parts of the memory */
	unsigned int made, refused;
	uint8_t done[]; /* for each: it is huge, or will never be */
};

static void
again(struct huge *h)
{
	struct timeval tv = { h->ms / 1000, (h->ms % 1000) * 1000 };

	if (h->ev != NULL && event_add(h->ev, &tv) == -1)
		log_warnx("huge pages: event_add");
}

static void
looked(evutil_socket_t fd, short what, void *arg)
{
	struct huge *h = arg;
	int made = huge_look(h);

	if (made == -1) {
		log_info("no huge pages for guest memory");
		return;
	}
	h->ms = made > 0 ? SOON_MS : 2 * h->ms;
	if (h->ms > LATE_MS)
		h->ms = LATE_MS;
	again(h);
}

struct huge *
huge_new(struct event_base *base, const struct gmem *mem)
{
	size_t n = mem->size / GMEM_HUGE;
	struct huge *h = calloc(1, sizeof(*h) + n);

	if (h == NULL)
		return NULL;
	h->mem = mem;
	h->n = n;
	h->ms = SOON_MS;
	if (base != NULL && (h->ev = evtimer_new(base, looked, h)) == NULL) {
		free(h);
		errno = ENOMEM;
		return NULL;
	}
	again(h);
	return h;
}

void
huge_free(struct huge *h)
{
	if (h == NULL)
		return;
	if (h->ev != NULL)
		event_free(h->ev);
	free(h);
}

static int
is_used(void *part)
{
	unsigned char in[PAGES];
	unsigned int i, n = 0;

	if (mincore(part, GMEM_HUGE, in) == -1)
		return 0;
	for (i = 0; i < PAGES; i++)
		n += in[i] & 1;
	return n >= ENOUGH;
}

int
huge_look(struct huge *h)
{
	size_t i;
	int made = 0;

	for (i = 0; i < LOOKS && i < h->n && made < MADE; i++) {
		void *part = h->mem->base + h->next * GMEM_HUGE;
		size_t is = h->next;

		h->next = (h->next + 1) % h->n;
		if (h->done[is] || !is_used(part))
			continue;
		if (madvise(part, GMEM_HUGE, MADV_COLLAPSE) == 0)
			made++;
		else if (errno == EINVAL)
			h->refused++;
		else
			break; /* busy, or there is none: another time */
		h->done[is] = 1;
	}
	h->made += (unsigned int)made;
	return h->made == 0 && h->refused >= REFUSED ? -1 : made;
}
