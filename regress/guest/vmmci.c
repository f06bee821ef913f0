/*
 * A vmmci(4) driver: finds the device on the PCI bus, agrees on features,
 * waits for its interrupt and does as it is told.  Words on the command
 * line: `answer' it, `down' when told, `deaf' to it all, `halt' at once,
 * `clock' to wait for that command.
 */
#include "guest.h"

#define GUEST_FEATURES 4
#define STATUS	       18
#define ISR	       19
#define COMMAND	       20
#define SECONDS	       24
#define MICROSECONDS   32

static uint16_t base;
static volatile int interrupts;

static uint32_t
conf(uint32_t dev, uint32_t reg)
{
	outl(0xcf8, 1U << 31 | dev << 11 | reg);
	return inl(0xcfc);
}

static int
has(const char *line, const char *word)
{
	size_t n = 0;

	while (word[n] != '\0')
		n++;
	for (; *line != '\0'; line++)
		if (memcmp(line, word, n) == 0)
			return 1;
	return 0;
}

static void __attribute__((interrupt)) on_irq(struct frame *f)
{
	if ((inb(base + ISR) & 2) != 0)
		interrupts++;
	pic_eoi(11);
}

static int
probe(void)
{
	uint32_t dev, irq;

	for (dev = 0; dev < 32; dev++)
		if (conf(dev, 0) == 0x07770b5d)
			break;
	if (dev == 32)
		return -1;
	say_dec("vmmci in slot", dev);
	check(conf(dev, 0x2c) == 0xffff0b5d, "subsystem");
	check((conf(dev, 0x10) & 1) != 0, "I/O");
	check((conf(dev, 4) & 1) != 0, "decoded");
	/* Somewhere else. */
	outl(0xcfc, conf(dev, 0x10));
	conf(dev, 0x10);
	outl(0xcfc, 0xd000);
	base = (uint16_t)(conf(dev, 0x10) & ~3U);
	check(base == 0xd000, "moved");
	irq = conf(dev, 0x3c);
	check((irq & 0xffff) == 0x010b, "INTA, line 11");
	return 0;
}

static void
negotiate(void)
{
	outb(base + STATUS, 0);
	outb(base + STATUS, 1);
	outb(base + STATUS, 3);
	check(inl(base) == 7, "features");
	outl(base + GUEST_FEATURES, 7);
	check(inl(base + GUEST_FEATURES) == 7, "agreed");
	outb(base + STATUS, 7);
	check(inb(base + STATUS) == 7, "driver ok");
}

/* Seconds since 1970: the year is one of ours. */
static void
host_time(void)
{
	uint32_t high = inl(base + SECONDS + 4), low = inl(base + SECONDS);

	check(high == 0 && low > 1700000000 &&
		inl(base + MICROSECONDS) < 1000000,
	    "host time");
}

static uint32_t
wait_command(void)
{
	interrupts = 0;
	put("waiting\n");
	while (interrupts == 0)
		guest_idle();
	return inl(base + COMMAND);
}

void
guest_main(const struct start_info *si)
{
	const char *line = si->cmdline == 0 ? "" : (const char *)si->cmdline;
	uint32_t cmd;

	if (probe() == -1) {
		put("no vmmci\n");
		power_off();
	}
	negotiate();
	host_time();
	if (has(line, "halt")) {
		outl(base + COMMAND, 1);
		put("halting\n");
		halt();
	}
	if (has(line, "deaf")) {
		put("waiting\n");
		halt();
	}
	idt_set(0x2b, on_irq);
	pic_init();
	pic_unmask(11);
	cmd = wait_command();
	say_dec("command", cmd);
	if (has(line, "clock")) {
		host_time();
		outl(base + COMMAND, cmd);
		check(inl(base + COMMAND) == 0, "answered");
		power_off();
	}
	if (has(line, "answer"))
		outl(base + COMMAND, cmd);
	put("told\n");
	if (has(line, "down"))
		power_off();
	outl(base + COMMAND, 1); /* powering down: the host has to do it */
	halt();
}
