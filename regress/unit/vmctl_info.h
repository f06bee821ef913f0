#ifndef REGRESS_VMCTL_INFO_H
#define REGRESS_VMCTL_INFO_H

/* VMs as a daemon would show them to vmctl. */

#include "regress/unit/vmctl_test.h"

#define END IMSG_VMDOP_GET_INFO_VM_END_DATA

/* Of the table. */
#define HEADER                                                                 \
	"   ID   PID VCPUS  MAXMEM  CURMEM     TTY        OWNER    "           \
	"STATE NAME\n"

static inline void
send_vm(struct request *r, const struct vm_info *i)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	if (b == NULL || vm_info_put(b, i) == -1)
		_exit(99);
	fake_send(r, IMSG_VMDOP_GET_INFO_VM_DATA, ibuf_data(b), ibuf_size(b),
	    -1);
	ibuf_free(b);
}

/* A running VM of user 54321, everything filled in. */
static inline struct vm_info
full_info(void)
{
	static char tty[] = "/dev/pts/7", ended[] = "by \"0xcf9\"",
		    error[] = "boot /x: \033[2J", pending[] = "changed";
	struct vm_info i = { .state = VMS_RUNNING };

	i.spec = vm_spec_new("web1");
	i.spec->id = 1;
	i.spec->cpus = 4;
	i.spec->memory = 1ULL << 30;
	i.spec->uid = 54321;
	i.spec->gid = 54322;
	i.spec->file = strdup("/etc/vm.conf");
	i.spec->line = 12;
	i.pid = 4711;
	i.resident = 300ULL << 20;
	i.run_uid = 0;
	i.started = 1600000000;
	i.exit = VMEXIT_RESET;
	i.exit_text = ended;
	i.tty = tty;
	i.pending = pending;
	i.error = error;
	return i;
}

/* Answers: two VMs, none. */
static inline int
list(struct request *r)
{
	struct vm_info a = full_info(), b = { .state = VMS_STOPPED };
	const struct vmop_result ok = { 0 };

	b.spec = vm_spec_new("db");
	b.spec->id = 22;
	b.spec->cpus = 1;
	b.spec->memory = 512ULL << 20;
	b.spec->uid = 54321;
	send_vm(r, &a);
	send_vm(r, &b);
	fake_result(r, END, &ok, -1);
	vm_spec_free(a.spec);
	vm_spec_free(b.spec);
	return 0;
}

static inline int
nothing(struct request *r)
{
	const struct vmop_result ok = { 0 };

	fake_result(r, END, &ok, -1);
	return 0;
}

#endif
