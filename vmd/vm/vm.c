/*
 * The vm process: one guest, from the launch message to its last words.
 * Main thread: messages from vmm, and the end.
 *
 * Whatever ends a run (a device, libvmm, a message) notes the cause first
 * and then stops the vcpus; the last vcpu wakes the main thread, which
 * sends VM_EXIT and exits.  So the first cause wins and is told exactly
 * once.
 */
#include <sys/eventfd.h>

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "lib/proto/vminfo.h"
#include "lib/proto/devstat.h"
#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "lib/util/slim.h"
#include "proc/proc.h"
#include "vmd/vm/console.h"
#include "vmd/vm/huge.h"
#include "vmd/vm/devs.h"
#include "vmd/vm/probe.h"
#include "vmd/vm/viornd.h"
#include "vmd/vm/vm.h"

#define LAST_WORDS_MS 5000

static const struct msg_hdr no_request = { 0, 0 };

void
vm_note(struct vm *vm, enum vmexit how, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&vm->lock);
	if (vm->exit == VMEXIT_NONE) {
		vm->exit = how;
		va_start(ap, fmt);
		vsnprintf(vm->text, sizeof(vm->text), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&vm->lock);
}

/* Tell vmm why and be gone; the kernel frees the rest faster than we. */
static void __attribute__((noreturn)) vm_leave(struct vm *vm)
{
	struct vmop_result r = { .err = VMERR_OK };

	console_free(vm->console);
	pthread_mutex_lock(&vm->lock);
	r.exit = vm->exit;
	r.text = vm->text;
	r.id = vm->spec->id;
	r.generation = vm->spec->generation;
	log_debug("ends: %s", vm->text);
	if (peer_result(vm->up, IMSG_VMDOP_VM_EXIT, no_request, &r) == -1 ||
	    peer_flush(vm->up, LAST_WORDS_MS) == -1)
		_exit(1);
	_exit(0);
}

/* First the devices: what the guest wrote is to be on disk. */
static void
vm_end(struct vm *vm)
{
	if (vm->ending)
		return;
	vm->ending = 1;
	/* All vcpus are out of the guest when this returns. */
	if (vm->vmm != NULL)
		vmm_pause(vm->vmm);
	if (vm->devs == NULL)
		vm_leave(vm);
	/* Those that end from here on were told to: vmm is to know first. */
	if (devs_count(vm->devs) > 0 &&
	    (peer_send(vm->up, IMSG_VMDOP_VM_ENDING, no_request, NULL, NULL,
		 0) == -1 ||
		peer_flush(vm->up, LAST_WORDS_MS) == -1))
		log_warn("vmm");
	devs_shutdown(vm->devs);
}

void
vm_devs_ended(void *arg)
{
	vm_leave(arg);
}

static void
vm_woken(evutil_socket_t fd, short what, void *arg)
{
	vm_end(arg);
}

/* --- launch ----------------------------------------------------------- */

static void
vm_answer_start(struct vm *vm, enum vmerr e, char *text)
{
	struct vmop_result r = { .err = e, .text = text };

	vm->launched = 1;
	r.id = vm->spec->id;
	r.generation = vm->spec->generation;
	r.name = vm->spec->name;
	if (peer_result(vm->up, IMSG_VMDOP_START_VM_RESPONSE, vm->start, &r) ==
	    -1)
		_exit(1);
}

static void __attribute__((noreturn))
vm_launch_failed(struct vm *vm, enum vmerr e, char *text)
{
	vm_answer_start(vm, e, text);
	if (peer_flush(vm->up, LAST_WORDS_MS) == -1)
		_exit(1);
	_exit(0);
}

static void __attribute__((noreturn)) vm_probe(struct vm *vm)
{
	char text[PROBE_TEXTLEN];
	enum vmerr e;

	e = probe_run(fdlist_get(&vm->fds, FD_KVM, 0, 0), text);
	vm_answer_start(vm, e, text);
	vm_note(vm, VMEXIT_POWEROFF, "probe done");
	vm_leave(vm);
}

/* The devices are ready, if there are any: now the rest. */
void
vm_devs_ready(void *arg, const char *error)
{
	struct vm *vm = arg;
	char err[VM_TEXTLEN] = "";
	enum vmerr e = VMERR_GUEST;

	if (error != NULL)
		snprintf(err, sizeof(err), "%s", error);
	else
		e = vm_finish(vm, err);
	fdlist_close(&vm->fds);
	if (e != VMERR_OK)
		vm_launch_failed(vm, e, err);
	vm_answer_start(vm, VMERR_OK, NULL);
	if (vmm_start(vm->vmm) == -1)
		fatal("vcpus");
	if ((vm->huge = huge_new(vm->base, &vm->mem)) == NULL)
		log_warn("huge pages");
	slim();
}

static int
vm_start_request(struct peer *p, struct msg *m)
{
	struct vm *vm = peer_arg(p);
	struct vm_spec *spec;
	char err[VM_TEXTLEN] = "";
	enum vmerr e;

	if (vm->spec != NULL) {
		log_warnx("started twice");
		return -1;
	}
	if ((spec = vm_spec_get(&m->body)) == NULL)
		return -1;
	vm->spec = spec;
	vm->start = m->hdr;
	if (wire_get_fdlist(&m->body, &vm->fds, m->fds, m->nfds) == -1 ||
	    wire_end(&m->body) == -1)
		return -1;
	setproctitle("-vmd: vm/%s", spec->name);
	if (spec->flags & VMF_PROBE)
		vm_probe(vm);
	if ((e = vm_build(vm, err)) != VMERR_OK)
		vm_launch_failed(vm, e, err);
	if (devs_count(vm->devs) == 0)
		vm_devs_ready(vm, NULL);
	return 0;
}

/* The channel of a device process, from vmm. */
static int
vm_device(struct peer *p, struct msg *m)
{
	struct vm *vm = peer_arg(p);

	if (vm->devs == NULL)
		return -1;
	return devs_channel(vm->devs, m);
}

/* --- orders ----------------------------------------------------------- */

static int
vm_resume(struct vm *vm)
{
	devs_resume(vm->devs);
	vm->paused = 0;
	viornd_pause(vm->viornd, 0);
	vmmci_unpause(vm->vmmci);
	return vmm_resume(vm->vmm);
}

static int
vm_shutdown(struct peer *p, struct msg *m)
{
	struct vm *vm = peer_arg(p);

	if (wire_end(&m->body) == -1)
		return -1;
	if (!vm->launched)
		return 0;
	/* Who listens to neither hears the button when it does. */
	if (!vmmci_send(vm->vmmci, VMMCI_SHUTDOWN))
		acpi_pm_button(vm->acpi);
	/* Held, it could never hear of it. */
	if (vm->paused)
		vm_resume(vm);
	vm->unhold = vm->pausing;
	return 0;
}

static int
vm_stop(struct peer *p, struct msg *m)
{
	struct vm *vm = peer_arg(p);

	if (wire_end(&m->body) == -1)
		return -1;
	if (!vm->launched)
		_exit(0);
	vm_note(vm, VMEXIT_STOPPED, "stopped");
	vmm_stop(vm->vmm);
	return 0;
}

/* Read the vmop_id that these orders carry; vmm chose the VM already. */
static int
skip_id(struct msg *m, uint32_t *flags, uint32_t *arg)
{
	struct vmop_id id;

	if (vmop_id_get(&m->body, &id) == -1)
		return -1;
	if (flags != NULL)
		*flags = id.flags;
	if (arg != NULL)
		*arg = id.arg;
	vmop_id_fini(&id);
	return wire_end(&m->body);
}

static int
answer(struct vm *vm, struct msg_hdr hdr, uint32_t type, enum vmerr e,
    const char *text)
{
	char copy[VM_TEXTLEN];
	struct vmop_result r = { .err = e };

	r.id = vm->spec == NULL ? 0 : vm->spec->id;
	r.generation = vm->spec == NULL ? 0 : vm->spec->generation;
	r.name = vm->spec == NULL ? NULL : vm->spec->name;
	if (text != NULL) {
		snprintf(copy, sizeof(copy), "%s", text);
		r.text = copy;
	}
	peer_result(vm->up, type, hdr, &r);
	return 0;
}

static int
vm_pause(struct peer *p, struct msg *m)
{
	struct vm *vm = peer_arg(p);
	enum vmerr e;

	if (skip_id(m, NULL, NULL) == -1)
		return -1;
	if (!vm->launched || vm->ending)
		e = VMERR_NOTRUNNING;
	else if (vm->paused || vm->pausing)
		e = VMERR_PAUSED;
	else if (vmm_pause(vm->vmm) == -1)
		e = VMERR_GUEST;
	else {
		vmmci_pause(vm->vmmci);
		viornd_pause(vm->viornd, 1);
		vm->pausing = 1;
		vm->pause = m->hdr;
		devs_pause(vm->devs);
		return 0;
	}
	return answer(vm, m->hdr, IMSG_VMDOP_PAUSE_VM_RESPONSE, e, NULL);
}

/* The devices hold still, or do not. */
void
vm_devs_paused(void *arg, const char *error)
{
	struct vm *vm = arg;

	vm->pausing = 0;
	vm->paused = 1;
	if (error == NULL && vm->unhold)
		error = "it is to shut down";
	vm->unhold = 0;
	if (error != NULL)
		vm_resume(vm);
	answer(vm, vm->pause, IMSG_VMDOP_PAUSE_VM_RESPONSE,
	    error == NULL ? VMERR_OK : VMERR_GUEST, error);
}

static int
vm_unpause(struct peer *p, struct msg *m)
{
	struct vm *vm = peer_arg(p);
	enum vmerr e = VMERR_OK;

	if (skip_id(m, NULL, NULL) == -1)
		return -1;
	if (!vm->launched || vm->ending)
		e = VMERR_NOTRUNNING;
	else if (!vm->paused)
		e = VMERR_NOTPAUSED;
	else if (vm_resume(vm) == -1)
		e = VMERR_GUEST;
	return answer(vm, m->hdr, IMSG_VMDOP_UNPAUSE_VM_RESPONSE, e, NULL);
}

static int
vm_console_request(struct peer *p, struct msg *m)
{
	const uint32_t type = IMSG_CTL_CONSOLE_RESPONSE;
	struct vm *vm = peer_arg(p);
	uint32_t flags;

	if (skip_id(m, &flags, NULL) == -1)
		return -1;
	if (vm->console == NULL)
		return answer(vm, m->hdr, type, VMERR_NOTRUNNING, NULL);
	if (m->nfds != 1)
		return answer(vm, m->hdr, type, VMERR_BADMSG, "no socket");
	switch (console_attach(vm->console, &m->fds[0], flags)) {
	case -1:
		return answer(vm, m->hdr, type, VMERR_LIMIT,
		    errno == EMFILE ? "too many consoles" : strerror(errno));
	case 0:
		return answer(vm, m->hdr, type, VMERR_OK,
		    flags & VMOP_READONLY ? NULL :
					    "read-only: another console types");
	default:
		return answer(vm, m->hdr, type, VMERR_OK, NULL);
	}
}

static int
vm_break(struct peer *p, struct msg *m)
{
	struct vm *vm = peer_arg(p);
	enum vmerr e = VMERR_OK;

	if (skip_id(m, NULL, NULL) == -1)
		return -1;
	if (vm->uart == NULL)
		e = VMERR_NOTRUNNING;
	else
		uart_break(vm->uart);
	return answer(vm, m->hdr, IMSG_CTL_BREAK_RESPONSE, e, NULL);
}

static int
vm_devices(struct peer *p, struct msg *m)
{
	struct vm *vm = peer_arg(p);
	struct dev_list l;
	struct ibuf *b;

	if (skip_id(m, NULL, NULL) == -1)
		return -1;
	devs_stats(vm->devs, &l);
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_list_put(b, &l) == -1)
		fatal("no memory for an answer");
	peer_send(p, IMSG_VMDOP_DEVICES_RESPONSE, m->hdr, b, NULL, 0);
	return 0;
}

static int
vm_verbose(struct peer *p, struct msg *m)
{
	uint32_t level;

	if (skip_id(m, NULL, &level) == -1)
		return -1;
	log_set_verbose((int)level);
	return 0;
}

static const struct msg_handler vm_msgs[] = {
	{ IMSG_VMDOP_START_VM_REQUEST, ROLE_VMM, vm_start_request },
	{ IMSG_VMDOP_DEVICE, ROLE_VMM, vm_device },
	{ IMSG_VMDOP_VM_SHUTDOWN, ROLE_VMM, vm_shutdown },
	{ IMSG_VMDOP_VM_STOP, ROLE_VMM, vm_stop },
	{ IMSG_VMDOP_PAUSE_VM, ROLE_VMM, vm_pause },
	{ IMSG_VMDOP_UNPAUSE_VM, ROLE_VMM, vm_unpause },
	{ IMSG_CTL_CONSOLE_REQUEST, ROLE_VMM, vm_console_request },
	{ IMSG_CTL_BREAK, ROLE_VMM, vm_break },
	{ IMSG_VMDOP_DEVICES_REQUEST, ROLE_VMM, vm_devices },
	{ IMSG_CTL_VERBOSE, ROLE_VMM, vm_verbose },
};

int
vm_main(void)
{
	const struct proc_args args = { .role = "vm" };
	static struct vm vm;

	proc_init(&args);
	/* Orders come on the channel only. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	pthread_mutex_init(&vm.lock, NULL);
	if ((vm.base = event_base_new()) == NULL)
		fatal("event_base_new");
	vm.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm.wake == -1)
		fatal("eventfd");
	vm.wake_ev = event_new(vm.base, vm.wake, EV_READ, vm_woken, &vm);
	if (vm.wake_ev == NULL || event_add(vm.wake_ev, NULL) == -1)
		fatalx("event_new");
	vm.up = proc_up(vm.base, ROLE_VMM, vm_msgs,
	    sizeof(vm_msgs) / sizeof(vm_msgs[0]), &vm);
	if (vm.up == NULL)
		fatal("channel");
	event_base_dispatch(vm.base);
	fatalx("event loop ended");
}
