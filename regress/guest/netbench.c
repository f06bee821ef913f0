/*
 * How fast is the first network interface?  A driver that does as it is told
 * on the serial line, a line for each run:
 *
 *	t SIZE MILLISECONDS	send frames of SIZE bytes
 *	r SIZE MILLISECONDS	receive what comes, count frames of SIZE
 *
 * It answers `done FRAMES BYTES MICROSECONDS KICKS' and waits for the next
 * line.  Frames longer than 1514 bytes are TCP, to be segmented.
 *
 * The same program runs on every virtual machine monitor, so that only these
 * differ: a virtio network interface at slot 8.  It works in ring 3 and
 * looks at the used rings instead of being interrupted.
 */
#include "net.h"

#define MEM	0x2000000ULL
#define TX	0x1a00000ULL /* behind MEM: what is sent */
#define PAGE	4096U
#define DEPTH	256U
#define COM1	0x3f8
#define HEADERS (NET_HDR + 54)
#define MSS	1448

static struct nic nic;
static uint64_t frames, bytes, kicks, hz;

static char
get_char(void)
{
	while (!(inb(COM1 + 5) & 1))
		;
	return (char)inb(COM1);
}

static uint32_t
number(void)
{
	uint32_t v = 0;
	char c;

	while ((c = get_char()) >= '0' && c <= '9')
		v = v * 10 + (uint32_t)(c - '0');
	return v;
}

static void
calibrate(void)
{
	uint32_t from = pm_now();
	uint64_t tsc = rdtsc();

	while (pm_since(from) < PM_HZ / 5)
		;
	hz = (rdtsc() - tsc) * 5;
}

/* A frame to nobody, ours, that is sent again and again. */
static void
prepare(uint64_t at, uint32_t size)
{
	uint8_t *f = (uint8_t *)(at + NET_HDR), *p = f + 14;

	memset((void *)at, 0, NET_HDR + size);
	memcpy(f, "\x02\x00\x00\x00\x00\x77", 6);
	memcpy(f + 6, nic.mac, 6);
	net_put16(f + 12, size > 1514 ? 0x800 : 0x88b5);
	if (size <= 1514)
		return;
	p[0] = 0x45;
	net_put16(p + 2, size - 14);
	p[8] = 64;
	p[9] = 6;
	net_put32(p + 12, 0x0a000001);
	net_put32(p + 16, 0x0a000002);
	net_put16(p + 10, ~net_fold(net_sum(p, 20, 0)) & 0xffff);
	p[32] = 0x50;
	p[33] = 0x10;
	net_put16(p + 36, net_fold(net_sum(p + 12, 8, 6 + size - 34)));
	store8(at, 1);
	store8(at + 1, 1);
	store16(at + 2, 54);
	store16(at + 4, MSS);
	store16(at + 6, 34);
	store16(at + 8, 16);
}

/* Chains as Linux makes them: all in one, or a page each. */
static unsigned int
chains(uint32_t size)
{
	unsigned int per = size > 1514 ? (NET_HDR + size + PAGE - 1) / PAGE : 1;
	unsigned int i, k, n = DEPTH / per;
	uint32_t left, len;

	prepare(MEM + TX, size);
	for (i = 0; i < n; i++) {
		left = NET_HDR + size;
		for (k = 0; k < per; k++) {
			len = left < PAGE || per == 1 ? left : PAGE;
			left -= len;
			vq_desc(nic.tx[0].desc, i * per + k,
			    MEM + TX + k * PAGE, len, left > 0 ? VQ_NEXT : 0);
		}
	}
	return per;
}

static void
show(struct vq *q)
{
	uint16_t event;

	if (q->offered == q->told)
		return;
	store16(q->avail + 2, q->offered);
	__asm__ volatile("mfence" : : : "memory");
	event = load16(q->used + 4 + 8 * q->size);
	if ((uint16_t)(q->offered - event - 1) <
	    (uint16_t)(q->offered - q->told)) {
		kicks++;
		vq_kick(q);
	}
	q->told = q->offered;
}

static void
transmit(uint32_t size, uint64_t until)
{
	struct vq *q = &nic.tx[0];
	unsigned int per = chains(size), i, n = DEPTH / per;
	uint16_t used;

	for (i = 0; i < n; i++)
		vq_put(q, (uint16_t)(i * per));
	show(q);
	while (rdtsc() < until) {
		used = load16(q->used + 2);
		for (; q->seen != used; q->seen++, frames++)
			vq_put(q,
			    (uint16_t)load32(
				q->used + 4 + 8 * (q->seen % q->size)));
		show(q);
	}
	/* All of them have to be back before the next run. */
	while (q->seen != q->offered)
		q->seen = load16(q->used + 2);
	bytes = frames * size;
}

/* Buffers are counted by what is in them, frames by their headers. */
static void
receive(uint32_t size, uint64_t until)
{
	struct vq *q = &nic.rx[0];
	unsigned int part = 0;
	uint32_t id, sum = 0;
	uint16_t used;
	uint64_t e;

	while (rdtsc() < until) {
		used = load16(q->used + 2);
		for (; q->seen != used; q->seen++) {
			e = q->used + 4 + 8 * (q->seen % q->size);
			id = load32(e);
			if (part == 0)
				part = load16(MEM + 0x100000 +
				    id * (uint64_t)NET_SLOT + 10);
			sum += load32(e + 4);
			if (--part == 0) {
				frames += sum == size + NET_HDR;
				sum = 0;
			}
			vq_put(q, (uint16_t)id);
		}
		show(q);
	}
	bytes = frames * size;
}

static void
serve(void)
{
	uint64_t begin;
	uint32_t size, ms;
	char what;

	put("ready\n");
	for (;;) {
		what = get_char();
		if (what != 't' && what != 'r')
			continue;
		get_char();
		size = number();
		ms = number();
		frames = bytes = kicks = 0;
		begin = rdtsc();
		if (what == 't')
			transmit(size, begin + hz / 1000 * ms);
		else
			receive(size, begin + hz / 1000 * ms);
		put("done ");
		put_dec(frames);
		put_char(' ');
		put_dec(bytes);
		put_char(' ');
		put_dec((rdtsc() - begin) / (hz / 1000000));
		put_char(' ');
		put_dec(kicks);
		put_char('\n');
	}
}

static void
all(void)
{
	calibrate();
	check(net_find(&nic, 0), "interface");
	pci_conf_set(&nic.dev, 4, pci_conf(&nic.dev, 4) | 6);
	check(net_up(&nic,
		  NET_F_MRG | NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 |
		      NET_F_HOST_TSO4 | VIRTIO_EVENT_IDX,
		  MEM, VIRTIO_NOMSI),
	    "up");
	serve();
}

void
guest_main(const struct start_info *si)
{
	user_mode(all);
}
