/*
 * From a vm_spec and its descriptors to a machine that is ready to run:
 * memory, libvmm, console; then the process gives up what it no longer
 * needs; then ACPI tables, boot files and devices, which are the first to
 * look at bytes from outside.  Main thread of the vm process.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "lib/util/ring.h"
#include "proc/proc.h"
#include "vmd/vm/boot.h"
#include "vmd/vm/console.h"
#include "vmd/vm/devs.h"
#include "vmd/vm/mmio.h"
#include "vmd/vm/probe.h"
#include "vmd/vm/viornd.h"
#include "vmd/vm/vm.h"

#define PAGE	4096ULL
#define EBDA	0x9f000ULL /* reserved up to the VGA hole */
#define VGA	0xa0000ULL
#define ROMS	0xc0000ULL /* tables, firmware: writable */
#define LOW	0x100000ULL
#define LOW_MAX 0xc0000000ULL /* devices have the rest below 4 GiB */
#define HIGH	0x100000000ULL

int
vm_memory(struct gmem *g, uint64_t bytes)
{
	uint64_t low;

	bytes &= ~(PAGE - 1);
	if (bytes < VM_MIN_MEMORY) {
		errno = EINVAL;
		return -1;
	}
	low = bytes < LOW_MAX ? bytes : LOW_MAX;
	if (gmem_add(g, 0, EBDA, GMEM_RAM) == -1 ||
	    gmem_add(g, EBDA, VGA - EBDA, GMEM_RESERVED) == -1 ||
	    gmem_add(g, ROMS, LOW - ROMS, GMEM_RESERVED) == -1 ||
	    gmem_add(g, LOW, low - LOW, GMEM_RAM) == -1)
		return -1;
	if (bytes > low)
		return gmem_add(g, HIGH, bytes - low, GMEM_RAM);
	return 0;
}

/* --- what vcpu threads and devices call ------------------------------- */

static uint32_t
io_read(void *arg, uint16_t port, unsigned int size)
{
	struct vm *vm = arg;

	return bus_read(vm->bus, port, size);
}

static void
io_write(void *arg, uint16_t port, unsigned int size, uint32_t val)
{
	struct vm *vm = arg;

	bus_write(vm->bus, port, size, val);
}

static uint64_t
mmio_read(void *arg, uint64_t gpa, unsigned int size)
{
	struct vm *vm = arg;

	return mmio_bus_read(vm->mmio, gpa, size);
}

static void
mmio_write(void *arg, uint64_t gpa, unsigned int size, uint64_t val)
{
	struct vm *vm = arg;

	mmio_bus_write(vm->mmio, gpa, size, val);
}

static void
machine_irq(void *arg, unsigned int gsi, int level)
{
	struct vm *vm = arg;

	vmm_intr(vm->vmm, gsi, level);
}

static void
machine_reset(void *arg, const char *source)
{
	struct vm *vm = arg;

	vm_note(vm, VMEXIT_RESET, "reset through %s", source);
	vmm_stop(vm->vmm);
}

static void
machine_poweroff(void *arg)
{
	struct vm *vm = arg;

	vm_note(vm, VMEXIT_POWEROFF, "powered off");
	vmm_stop(vm->vmm);
}

static void
vmmci_expired(void *arg, int reboot, const char *why)
{
	struct vm *vm = arg;

	vm_note(vm, reboot ? VMEXIT_RESET : VMEXIT_POWEROFF, "%s", why);
	vmm_stop(vm->vmm);
}

/* --- steps ------------------------------------------------------------ */

static enum vmerr
fail(char err[VM_TEXTLEN], enum vmerr e, const char *what)
{
	snprintf(err, VM_TEXTLEN, "%s: %s", what, strerror(errno));
	return e;
}

static enum vmerr
check(struct vm *vm, char err[VM_TEXTLEN])
{
	uint32_t i;

	for (i = 0; i < vm->spec->nnics; i++) {
		if (vm->spec->nics[i].net.pairs != 0)
			continue;
		snprintf(err, VM_TEXTLEN, "interface %u has no queues", i);
		return VMERR_UNSUPPORTED;
	}
	if (fdlist_get(&vm->fds, FD_KVM, 0, 0) == -1) {
		snprintf(err, VM_TEXTLEN, "no KVM");
		return VMERR_UNSUPPORTED;
	}
	if (fdlist_get(&vm->fds, FD_BOOT, 0, 0) == -1) {
		snprintf(err, VM_TEXTLEN, "boot: no kernel");
		return VMERR_BOOT_MISSING;
	}
	return VMERR_OK;
}

static enum vmerr
make_vmm(struct vm *vm, const struct vmm_ops *ops, char err[VM_TEXTLEN])
{
	struct vmm_conf c = { .mem = &vm->mem, .ops = *ops };
	uint64_t memory = vm->spec->memory;
	int kvm, save;

	if (memory == 0)
		memory = VM_DEFAULT_MEMORY;
	if (vm_memory(&vm->mem, memory) == -1 || gmem_create(&vm->mem) == -1)
		return fail(err, VMERR_GUEST, "memory");
	kvm = fdlist_take(&vm->fds, FD_KVM, 0, 0);
	c.kvm = kvm;
	c.ncpus = vm->spec->cpus == 0 ? 1 : vm->spec->cpus;
	/* Kept open: libvmm asks it now and then. */
	if ((vm->vmm = vmm_create(&c, err, VM_TEXTLEN)) == NULL) {
		save = errno;
		fd_close(&kvm);
		return save == ENOTSUP ? VMERR_UNSUPPORTED : VMERR_GUEST;
	}
	return VMERR_OK;
}

static enum vmerr
make_console(struct vm *vm, char err[VM_TEXTLEN])
{
	int ring, tty, log;

	if ((ring = fdlist_take(&vm->fds, FD_CONSOLE, 0, 0)) == -1 &&
	    (ring = ring_create()) == -1)
		return fail(err, VMERR_GUEST, "console");
	tty = fdlist_take(&vm->fds, FD_TTY, 0, 0);
	log = fdlist_take(&vm->fds, FD_CONSOLE_LOG, 0, 0);
	vm->console = console_new(vm->base, ring, tty, log);
	if (vm->console == NULL)
		fail(err, VMERR_GUEST, "console");
	fd_close(&ring);
	return vm->console == NULL ? VMERR_GUEST : VMERR_OK;
}

/* What device processes will be given. */
static enum vmerr
make_devs(struct vm *vm, char err[VM_TEXTLEN])
{
	const struct devs_ops ops = { .ready = vm_devs_ready,
		.paused = vm_devs_paused,
		.ended = vm_devs_ended,
		.arg = vm };

	vm->devs = devs_new(vm->base, vm->spec, &vm->mem, vm->up, &ops);
	if (vm->devs == NULL)
		return fail(err, VMERR_GUEST, "devices");
	return VMERR_OK;
}

/*
 * For good.  What the kernel does not have is named in the log.  These are
 * a thread's own: before the vcpus' threads are made.
 */
static enum vmerr
lock(char err[VM_TEXTLEN])
{
	const char *what = "sandbox";
	int rc;

	if (sandbox_lock(&what) == -1)
		return fail(err, VMERR_GUEST, what);
	if ((rc = sandbox_landlock(0)) == -1)
		return fail(err, VMERR_GUEST, "landlock");
	if (rc == 1)
		log_info("this kernel has no landlock");
	return VMERR_OK;
}

/* All threads at once; no thread is made after this. */
static enum vmerr
narrow(char err[VM_TEXTLEN])
{
	int rc;

	if ((rc = sandbox_seccomp("vm", PROC_CHANNEL_FD)) == -1)
		return fail(err, VMERR_GUEST, "seccomp");
	if (rc == 1)
		log_info("this kernel has no seccomp");
	proc_ready("%s filter", rc == 1 ? "no" : "with");
	return VMERR_OK;
}

static uint64_t
high_memory(const struct gmem *g)
{
	size_t i;

	for (i = 0; i < g->nranges; i++)
		if (g->ranges[i].gpa == HIGH)
			return g->ranges[i].size;
	return 0;
}

/* Devices that are virtio's; the vm process has those without a file. */
static enum vmerr
make_virtio(struct vm *vm, char err[VM_TEXTLEN])
{
	struct virtio_host *h = &vm->virtio;

	if ((vm->mmio = mmio_new(vm->bus)) == NULL)
		return fail(err, VMERR_GUEST, "devices");
	h->bus = vm->bus;
	h->pci = vm->pci;
	h->mmio = vm->mmio;
	h->base = vm->base;
	h->mem = &vm->mem;
	h->dirty = &vm->dirty;
	h->ops = &virtio_host_vmm;
	h->arg = vm->vmm;
	if ((vm->viornd = viornd_new(h, VIORND_RATE)) == NULL)
		return fail(err, VMERR_GUEST, "viornd");
	if (devs_plug(vm->devs, h) == -1)
		return fail(err, VMERR_GUEST, "devices");
	return VMERR_OK;
}

static enum vmerr
make_devices(struct vm *vm, char err[VM_TEXTLEN])
{
	const struct uart_ops uart = { .output = console_output,
		.room = console_room,
		.arg = vm->console };
	const struct vmmci_ops vmmci = { vmmci_expired, vm };
	struct machine *m = &vm->machine;
	struct bus *b;

	m->arg = vm;
	m->irq = machine_irq;
	m->reset = machine_reset;
	m->poweroff = machine_poweroff;
	m->base = vm->base;
	if ((b = vm->bus = bus_new()) == NULL ||
	    (vm->uart = uart_new(b, m, &uart)) == NULL ||
	    (vm->rtc = rtc_new(b, m, gmem_low_end(&vm->mem),
		 high_memory(&vm->mem),
		 vm->spec->cpus == 0 ? 1 : vm->spec->cpus)) == NULL ||
	    (vm->legacy = legacy_new(b, m)) == NULL ||
	    (vm->pci = pci_new(b, m)) == NULL ||
	    (vm->acpi = acpi_pm_new(b, m)) == NULL ||
	    (vm->vmmci = vmmci_new(b, m, vm->pci, &vmmci)) == NULL)
		return fail(err, VMERR_GUEST, "devices");
	console_uart(vm->console, vm->uart);
	return VMERR_OK;
}

/* Debug registers and XCR0 have their values of reset already. */
static int
set_regs(struct vm *vm, const struct boot_regs *b)
{
	const struct vmm_regs r = {
		.rax = b->rax,
		.rbx = b->rbx,
		.rcx = b->rcx,
		.rdx = b->rdx,
		.rsi = b->rsi,
		.rdi = b->rdi,
		.rsp = b->rsp,
		.rbp = b->rbp,
		.rip = b->rip,
		.rflags = b->rflags,
		.cr0 = b->cr0,
		.cr3 = b->cr3,
		.cr4 = b->cr4,
		.efer = b->efer,
		.cs = b->cs,
		.ds = b->ds,
		.es = b->es,
		.fs = b->fs,
		.gs = b->gs,
		.ss = b->ss,
		.tr = b->tr,
		.ldt = b->ldt,
		.gdt_base = b->gdt_base,
		.gdt_limit = b->gdt_limit,
		.idt_base = b->idt_base,
		.idt_limit = b->idt_limit,
	};

	if (b->firmware)
		return 0;
	return vmm_writeregs(vm->vmm, 0, &r);
}

static enum vmerr
boot(struct vm *vm, char err[VM_TEXTLEN])
{
	struct boot_conf c = { .cmdline = vm->spec->cmdline, .mem = &vm->mem };
	struct boot_regs regs;
	char why[BOOT_ERRLEN];
	int rc;

	c.rsdp = acpi_tables(&vm->mem,
	    vm->spec->cpus == 0 ? 1 : vm->spec->cpus);
	if (c.rsdp == 0)
		return fail(err, VMERR_GUEST, "ACPI tables");
	c.kernel = fdlist_take(&vm->fds, FD_BOOT, 0, 0);
	c.initrd = fdlist_take(&vm->fds, FD_INITRD, 0, 0);
	memset(&regs, 0, sizeof(regs));
	rc = boot_load(&c, &regs, why);
	fd_close(&c.kernel);
	fd_close(&c.initrd);
	if (rc == -1) {
		snprintf(err, VM_TEXTLEN, "boot: %s", why);
		return VMERR_GUEST;
	}
	if (set_regs(vm, &regs) == -1)
		return fail(err, VMERR_GUEST, "boot: registers");
	return VMERR_OK;
}

static void
machine_ended(void *arg, enum vmm_end how, const char *text)
{
	struct vm *vm = arg;
	uint64_t one = 1;

	switch (how) {
	case VMM_END_STOPPED:
		vm_note(vm, VMEXIT_STOPPED, "%s", text);
		break;
	case VMM_END_POWEROFF:
		vm_note(vm, VMEXIT_POWEROFF, "%s", text);
		break;
	case VMM_END_RESET:
		vm_note(vm, VMEXIT_RESET, "%s", text);
		break;
	case VMM_END_TRIPLE:
		vm_note(vm, VMEXIT_TRIPLE, "%s", text);
		break;
	case VMM_END_EMULATION:
		vm_note(vm, VMEXIT_EMULATION, "%s", text);
		break;
	case VMM_END_FAILED:
		vm_note(vm, VMEXIT_FAILED, "%s", text);
		break;
	}
	/* An eventfd takes any number of these. */
	if (write(vm->wake, &one, sizeof(one)) == -1)
		vmm_stop(vm->vmm);
}

enum vmerr
vm_build(struct vm *vm, char err[VM_TEXTLEN])
{
	const struct vmm_ops ops = { .io_read = io_read,
		.io_write = io_write,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write,
		.ended = machine_ended,
		.arg = vm };
	enum vmerr e;

	if ((e = check(vm, err)) != VMERR_OK || (e = lock(err)) != VMERR_OK ||
	    (e = make_vmm(vm, &ops, err)) != VMERR_OK ||
	    (e = make_console(vm, err)) != VMERR_OK ||
	    (e = make_devs(vm, err)) != VMERR_OK ||
	    (e = narrow(err)) != VMERR_OK)
		return e;
	return VMERR_OK;
}

enum vmerr
vm_finish(struct vm *vm, char err[VM_TEXTLEN])
{
	enum vmerr e;

	if ((e = make_devices(vm, err)) != VMERR_OK ||
	    (e = make_virtio(vm, err)) != VMERR_OK ||
	    (e = boot(vm, err)) != VMERR_OK)
		return e;
	return VMERR_OK;
}
