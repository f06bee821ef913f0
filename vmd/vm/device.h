#ifndef VM_DEVICE_H
#define VM_DEVICE_H

#include <stddef.h>
#include <stdint.h>

struct event_base;

/*
 * Devices inside the vm process: the ports they own and what they may ask
 * of the machine.  Ports are read and written by vcpu threads, timers and
 * descriptors fire on the main thread: every device has a lock of its own
 * or shares the bus lock (bus_lock(), held around read and write).  So the
 * bus lock is held in machine.irq(), reset() and poweroff(): they must not
 * access ports.
 */

/* What the machine does for its devices.  Callable from any thread. */
struct machine {
	void *arg;
	/* Set the level of an interrupt line (GSI 0-23). */
	void (*irq)(void *arg, unsigned int gsi, int level);
	/* The guest asked for a reset through `source' ("0xcf9"). */
	void (*reset)(void *arg, const char *source);
	/* The guest powered off. */
	void (*poweroff)(void *arg);
	struct event_base *base; /* the main thread's; NULL: no timers */
};

/*
 * A device's range of ports.  `size' is 1, 2 or 4 and the access lies
 * inside the range.  An access wider than `width' is split by the bus into
 * `width' sized ones in ascending order; one that straddles two devices is
 * split into bytes.  Nobody home: all ones are read, a write is dropped.
 */
struct device_ops {
	const char *name;
	uint16_t base;
	uint16_t len;
	uint8_t width; /* widest access: 1, 2 or 4 */
	uint32_t (*read)(void *dev, uint16_t port, unsigned int size);
	void (
	    *write)(void *dev, uint16_t port, unsigned int size, uint32_t val);
};

#define BUS_MAXDEVS 32

struct bus;
struct bus *bus_new(void);
void bus_free(struct bus *b);
/*
 * `ops' must outlive the bus.  0, or -1 with errno EEXIST, EINVAL or ENOSPC.
 */
int bus_add(struct bus *b, const struct device_ops *ops, void *dev);
/*
 * A range that moves, as a PCI BAR does: `where' says where it is now
 * (above 0xffff: nowhere), with the bus lock held; ops->base is 0 and `port'
 * counts from the beginning of the range.  Those that do not move go first.
 */
int bus_add_moving(struct bus *b, const struct device_ops *ops, void *dev,
    uint64_t (*where)(void *dev));
/* One access; vcpu threads. */
uint32_t bus_read(struct bus *b, uint16_t port, unsigned int size);
void bus_write(struct bus *b, uint16_t port, unsigned int size, uint32_t val);
/* For main-thread parts of devices. */
void bus_lock(struct bus *b);
void bus_unlock(struct bus *b);

/*
 * The devices.  Each *_new() adds its ports to `b' and returns the device
 * or NULL with errno; each *_free() accepts NULL and is called after the
 * vcpu threads ended.
 */

/* 16550A on COM1. */
struct uart;
struct uart_ops {
	/* Bytes the guest sent; called with the bus lock held. */
	void (*output)(void *arg, const uint8_t *buf, size_t len);
	/* There is room for input again; bus lock held. */
	void (*room)(void *arg);
	void *arg;
};
struct uart *
uart_new(struct bus *b, const struct machine *m, const struct uart_ops *ops);
void uart_free(struct uart *u);
/* Bytes for the guest; returns how many were taken.  Takes the bus lock. */
size_t uart_input(struct uart *u, const uint8_t *buf, size_t len);
void uart_break(struct uart *u);

/*
 * RTC and CMOS.  `low' is the end of RAM below 4 GiB, `high' the size of what
 * is above.
 */
struct rtc;
struct rtc *rtc_new(struct bus *b, const struct machine *m, uint64_t low,
    uint64_t high, unsigned int ncpus);
void rtc_free(struct rtc *r);

/* i8042 and port 0x92.  Port 0x80 is nobody's. */
struct legacy;
struct legacy *legacy_new(struct bus *b, const struct machine *m);
void legacy_free(struct legacy *l);

/* Host bridge, configuration ports 0xcf8-0xcff, 0xcf9; see pci.h. */
struct pci;
struct pci *pci_new(struct bus *b, const struct machine *m);
void pci_free(struct pci *p);

/* PM1a event, control, PM timer at 0x600; SCI is GSI 9. */
struct acpi_pm;
struct acpi_pm *acpi_pm_new(struct bus *b, const struct machine *m);
void acpi_pm_free(struct acpi_pm *a);
/* Press the power button.  Takes the bus lock. */
void acpi_pm_button(struct acpi_pm *a);
/* 1 if the guest has turned ACPI's power button event on. */
int acpi_pm_listening(struct acpi_pm *a);

#endif
