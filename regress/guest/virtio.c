/*
 * A driver for the entropy device: finds its structures by the
 * capabilities, then reset, also while it waits, features, a queue, and
 * interrupts in all the ways there are.
 */
#include "virtio.h"

#define SLOT	   1
#define DATA	   0x1000000ULL /* memory that nobody else has */
#define DESC	   DATA
#define AVAIL	   (DATA + 0x1000)
#define USED	   (DATA + 0x2000)
#define BUF	   (DATA + 0x10000)
#define SIZE	   8

#define MSI_VECTOR 0x50
#define PIN_VECTOR 0x60

#define DEADLINE   (PM_HZ * 3) /* three seconds */

static struct vdev dev = { .slot = SLOT };
static struct vq queue;
static volatile unsigned int msis, lines;

/*
 * What a device says of a buffer comes after the buffer is in the used ring,
 * and we may be faster: wait for it.
 */
#define soon(cond)                                                             \
	({                                                                     \
		uint32_t soon_from = pm_now();                                 \
		int soon_is;                                                   \
                                                                               \
		while (!(soon_is = (cond)) && pm_since(soon_from) < DEADLINE)  \
			__builtin_ia32_pause();                                \
		soon_is;                                                       \
	})

static void __attribute__((interrupt)) on_msi(struct frame *f)
{
	msis++;
	lapic_eoi();
}

static void __attribute__((interrupt)) on_line(struct frame *f)
{
	lines++;
	/* Reading it takes the cause away. */
	(void)load8(dev.isr);
	lapic_eoi();
}

/* Everything up to DRIVER_OK; vector as given. */
static void
start(uint16_t vector)
{
	virtio_begin(&dev, 0);
	virtio_queue(&queue, &dev, 0, SIZE, DATA, vector);
	virtio_go(&dev);
}

static void
offer(uint32_t len)
{
	unsigned int i = queue.offered % SIZE;

	vq_desc(DESC, i, BUF, len, VQ_WRITE);
	vq_offer(&queue, (uint16_t)i);
}

/* Wait for the device to have used all, without interrupts. */
static int
used(void)
{
	while (queue.seen != queue.offered)
		if (vq_wait(&queue) == -1)
			return 0;
	return 1;
}

/* Sleep until `*n' is `want'; the timer wakes us as well. */
static int
wait_for(volatile unsigned int *n, unsigned int want)
{
	uint32_t from = pm_now();

	while (*n < want && pm_since(from) < DEADLINE)
		guest_idle();
	return *n == want;
}

static volatile unsigned int ticks;

static void __attribute__((interrupt)) on_tick(struct frame *f)
{
	ticks++;
	pic_eoi(0);
}

/* 100 times a second, so that no wait is for ever. */
static void
ticking(void)
{
	idt_set(0x20, on_tick);
	outb(0x43, 0x34);
	outb(0x40, 11932 & 0xff);
	outb(0x40, 11932 >> 8);
	pic_unmask(0);
}

static int
random_bytes(void)
{
	unsigned int i, sum = 0, zero = 1;

	for (i = 0; i < 256; i++) {
		sum += load8(BUF + i) & 1;
		zero &= load8(BUF + i) == 0;
	}
	return !zero && sum > 64 && sum < 192;
}

static void
discovery(void)
{
	uint64_t ids = pci_conf(&dev, 0);

	check(ids == 0x10441af4 && (pci_conf(&dev, 8) & 0xff) == 1, "ids");
	check(virtio_find(&dev, SLOT, 0), "found");
	check(dev.common != 0 && dev.notify != 0 && dev.isr != 0 &&
		dev.msix != 0 && dev.msix_cap != 0 && dev.cfg_cap != 0,
	    "structures");
	check(load16(dev.common + 18) == 1, "one queue");
	store32(dev.common, 1);
	check((load32(dev.common + 4) & 1) == 1, "VERSION_1 is offered");
	virtio_set_status(&dev, 1);
	virtio_set_status(&dev, 3);
	virtio_set_status(&dev, 11);
	check(virtio_status(&dev) == 3, "it must be agreed on");
	virtio_set_status(&dev, 0);
	check(virtio_status(&dev) == 0, "reset");
	start(0xffff);
	check(virtio_status(&dev) == 15, "running");
	store64(dev.common + 32, 0x1234560);
	check(load32(dev.common + 32) == (uint32_t)DESC,
	    "no change when running");
}

static void
polled(void)
{
	memset((void *)BUF, 0, 256);
	offer(256);
	check(used() && load32(USED + 8) == 256, "256 bytes");
	check(random_bytes(), "are random");
	offer(200000);
	check(used() && load32(USED + 16) == 65536, "at most 64 KiB at once");
	/* The kernel takes 2 bytes only: this is the slow path. */
	queue.offered++;
	store64(DESC + 32, BUF);
	store32(DESC + 40, 16);
	store32(DESC + 44, 2);
	store16(AVAIL + 8, 2);
	store16(AVAIL + 2, queue.offered);
	store32(dev.notify, 0);
	check(used() && load32(USED + 24) == 16, "kick of another width");
	check(soon((load8(dev.isr) & 1) == 1) && load8(dev.isr) == 0,
	    "ISR clears");
}

static void
by_msi(void)
{
	uint32_t control = pci_conf(&dev, dev.msix_cap);
	unsigned int before;

	virtio_vector(&dev, 0, MSI_VECTOR, 0);
	virtio_vector(&dev, 1, MSI_VECTOR, 0);
	pci_conf_set(&dev, dev.msix_cap, control | 1U << 31);
	start(1);
	check(load16(dev.common + 26) == 1, "vector");
	offer(32);
	check(wait_for(&msis, 1), "MSI-X interrupt");
	check((load8(dev.isr) & 1) == 0, "no ISR with MSI-X");
	virtio_vector(&dev, 1, MSI_VECTOR, 1);
	offer(32);
	check(used(), "masked");
	check(soon((load32(dev.msix + 0x800) & 2) != 0) && msis == 1,
	    "pending");
	offer(32);
	check(used() && msis == 1, "and again");
	virtio_vector(&dev, 1, MSI_VECTOR, 0);
	/* One, and one more if we were faster than the last of the two. */
	check(wait_for(&msis, 2) || msis == 3, "one interrupt when unmasked");
	check(load32(dev.msix + 0x800) == 0, "nothing pending");
	pci_conf_set(&dev, dev.msix_cap, control | 3U << 30);
	offer(32);
	before = msis;
	check(used() && soon((load32(dev.msix + 0x800) & 2) != 0) &&
		msis == before,
	    "all masked");
	pci_conf_set(&dev, dev.msix_cap, control | 1U << 31);
	check(wait_for(&msis, before + 1), "and unmasked");
	pci_conf_set(&dev, dev.msix_cap, control);
}

static void
by_line(void)
{
	unsigned int pin = pci_conf8(&dev, 0x3c), i;

	check(pci_conf8(&dev, 0x3d) == 1 && pin == 10, "interrupt line");
	start(0xffff);
	ioapic_route(pin, PIN_VECTOR, 1);
	for (i = 1; i <= 3; i++) {
		offer(32);
		if (!wait_for(&lines, i))
			break;
	}
	check(i == 4, "three interrupts by line");
	/* Disabled, it waits. */
	pci_conf_set(&dev, 4, 0x406);
	offer(32);
	check(used(), "line disabled");
	check(soon((pci_conf(&dev, 4) >> 16 & 8) != 0) && lines == 3,
	    "interrupt status");
	pci_conf_set(&dev, 4, 0x006);
	check(wait_for(&lines, 4), "line enabled");
	check((pci_conf(&dev, 4) >> 16 & 8) == 0, "no interrupt status");
	ioapic_mask(pin);
}

static volatile unsigned int pics;

static void __attribute__((interrupt)) on_pic(struct frame *f)
{
	pics++;
	(void)load8(dev.isr);
	pic_eoi(10);
}

/* Through the 8259s, as kernels without ACPI do. */
static void
by_pic(const char *what)
{
	unsigned int i, before = pics;

	start(0xffff);
	idt_set(0x2a, on_pic);
	pic_unmask(10);
	for (i = 1; i <= 3; i++) {
		offer(32);
		if (!wait_for(&pics, before + i))
			break;
	}
	check(i == 4, what);
	outb(0xa1, 0xff);
}

static void
moves(void)
{
	uint64_t to = 0xf1000000;

	start(0xffff);
	pci_conf_set(&dev, 0x10, 0xffffffff);
	check((pci_conf(&dev, 0x10) & ~15U) == 0xffffc000, "size of BAR 0");
	pci_conf_set(&dev, 0x10, (uint32_t)to);
	check(load8(dev.common + 20) == 0xff, "nobody at the old place");
	check(virtio_find(&dev, SLOT, 0), "found");
	check(dev.common - (dev.common & 0xfff) == to &&
		virtio_status(&dev) == 15,
	    "the device is at the new one");
	queue.kick = dev.notify;
	offer(64);
	check(used() && load32(USED + 8) == 64, "and so is its kick");
	pci_conf_set(&dev, 4, 0);
	check(load8(dev.common + 20) == 0xff, "not decoded");
	pci_conf_set(&dev, 4, 6);
	/* The window in configuration space. */
	pci_conf_set(&dev, dev.cfg_cap + 4, 0);
	pci_conf_set(&dev, dev.cfg_cap + 8, 20);
	pci_conf_set(&dev, dev.cfg_cap + 12, 1);
	check((pci_conf(&dev, dev.cfg_cap + 16) & 0xff) == 15,
	    "status by capability");
	outl(0xcf8, 1U << 31 | SLOT << 11 | (dev.cfg_cap + 16));
	outb(0xcfc, 0);
	check(virtio_status(&dev) == 0, "reset by capability");
}

static void
broken(void)
{
	start(0xffff);
	store16(AVAIL + 2, 0x4000);
	store16(dev.notify, 0);
	check(soon((virtio_status(&dev) & 0x40) != 0),
	    "a broken ring needs a reset");
	check(soon((load8(dev.isr) & 2) != 0), "and says so");
	start(0xffff);
	offer(64);
	check(virtio_status(&dev) == 15 && used(), "after which it works");
}

/*
 * More than the device may give at once: with some of it still to come it is
 * reset, after which nothing comes.
 */
static void
reset_waiting(void)
{
	unsigned int i;
	uint16_t got;

	start(0xffff);
	for (i = 0; i < SIZE; i++) {
		vq_desc(DESC, i, BUF, 65536, VQ_WRITE);
		vq_put(&queue, (uint16_t)i);
	}
	vq_show(&queue);
	check(soon(load16(USED + 2) > 0), "the first of many");
	check(virtio_reset(&dev), "reset while it waits");
	got = load16(USED + 2);
	memset((void *)BUF, 0, 65536);
	pm_wait_us(200000);
	check(got < SIZE && load16(USED + 2) == got && load8(BUF) == 0 &&
		memcmp((void *)BUF, (void *)(BUF + 1), 65535) == 0,
	    "nothing comes any more");
	start(0xffff);
	memset((void *)BUF, 0, 256);
	offer(256);
	check(used() && load16(USED + 2) == 1 && random_bytes(),
	    "and it works");
}

void
guest_main(const struct start_info *si)
{
	pic_init();
	lapic_init();
	ticking();
	idt_set(MSI_VECTOR, on_msi);
	idt_set(PIN_VECTOR, on_line);
	discovery();
	polled();
	by_msi();
	by_line();
	by_pic("three interrupts by the 8259");
	outb(0x4d1, 4);
	by_pic("and level-triggered");
	outb(0x4d1, 0);
	moves();
	broken();
	reset_waiting();
	power_off();
}
