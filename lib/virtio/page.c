/*
 * The page that the vm process and a device share: see page.h.  Whoever is
 * on the other side may write anything at any time.
 */
#include <string.h>

#include "lib/virtio/page.h"

static void
word_store(uint8_t *p, size_t n, const uint8_t *from)
{
	uint32_t w;

	if (n == sizeof(w)) {
		memcpy(&w, from, sizeof(w));
		__atomic_store_n((uint32_t *)(void *)p, w, __ATOMIC_RELAXED);
	} else
		__atomic_store_n(p, *from, __ATOMIC_RELAXED);
}

static void
word_load(const uint8_t *p, size_t n, uint8_t *to)
{
	uint32_t w;

	if (n == sizeof(w)) {
		w = __atomic_load_n((const uint32_t *)(const void *)p,
		    __ATOMIC_RELAXED);
		memcpy(to, &w, sizeof(w));
	} else
		*to = __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* A whole aligned word if there is one, else a byte. */
static size_t
step(size_t off, size_t len)
{
	return off % 4 == 0 && len >= 4 ? 4 : 1;
}

static size_t
inside(size_t off, size_t len)
{
	if (off >= VIRTIO_CONFIG_MAX)
		return 0;
	return len < VIRTIO_CONFIG_MAX - off ? len : VIRTIO_CONFIG_MAX - off;
}

void
virtio_page_write(struct virtio_page *p, size_t off, const void *buf,
    size_t len)
{
	const uint8_t *from = buf;
	size_t n;

	len = inside(off, len);
	__atomic_fetch_add(&p->seq, 1, __ATOMIC_SEQ_CST);
	for (; len > 0; off += n, from += n, len -= n) {
		n = step(off, len);
		word_store(p->config + off, n, from);
	}
	__atomic_fetch_add(&p->seq, 1, __ATOMIC_SEQ_CST);
}

void
virtio_page_read(const struct virtio_page *p, size_t off, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t n;

	memset(buf, 0, len);
	len = inside(off, len);
	for (; len > 0; off += n, to += n, len -= n) {
		n = step(off, len);
		word_load(p->config + off, n, to);
	}
}

uint8_t
virtio_page_generation(const struct virtio_page *p)
{
	return (uint8_t)__atomic_load_n(&p->seq, __ATOMIC_SEQ_CST);
}

void
virtio_isr_set(struct virtio_page *p, uint8_t bits)
{
	__atomic_fetch_or(&p->isr, bits, __ATOMIC_SEQ_CST);
}

uint8_t
virtio_isr_get(const struct virtio_page *p)
{
	return __atomic_load_n(&p->isr, __ATOMIC_SEQ_CST);
}

uint8_t
virtio_isr_take(struct virtio_page *p)
{
	return __atomic_exchange_n(&p->isr, 0, __ATOMIC_SEQ_CST);
}
