#ifndef REGRESS_PARENT_NET_H
#define REGRESS_PARENT_NET_H

/* A parent with interfaces, and what was asked of a priv that is not real. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "lib/net/addr.h"
#include "lib/net/mac.h"
#include "regress/unit/parent_fake.h"
#include "vmd/parent/net_int.h"

static inline struct nic_spec *
give_nic(const char *name, uint32_t flags)
{
	struct vm_spec *s = vm_find(&parent, name)->spec;
	struct nic_spec *n = &s->nics[s->nnics++];

	n->flags = flags | NICF_UP;
	return n;
}

/* Up to the request to vmm. */
static inline void
begin(const char *name)
{
	clear(&vmm);
	clear(&control);
	send_start(100, name);
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
}

static inline void
run(const char *name)
{
	begin(name);
	say_started();
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_OK);
	until_ordered();
}

static inline const char *
fails(const char *name)
{
	clear(&vmm);
	clear(&control);
	send_start(100, name);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_not_equal(control.res.err, VMERR_OK);
	assert_int_equal(vmm.got, 0);
	assert_int_equal(vm_find(&parent, name)->state, VMS_STOPPED);
	assert_null(vm_find(&parent, name)->net);
	assert_int_equal(vm_find(&parent, name)->fds.n, 0);
	return control.res.text;
}

static inline void
ends(const char *name, enum vmexit how)
{
	struct vm *v = vm_find(&parent, name);

	say_ended(name, v->generation, how);
	until_state(v, VMS_STOPPED);
	until_ordered();
}

static inline void
expect(unsigned int nr, uint32_t type, const char *ifname)
{
	assert_true(nr < nseen);
	assert_string_equal(msg_name(seen[nr].type), msg_name(type));
	assert_string_equal(seen[nr].ifname, ifname);
}

static inline const char *
state_file(const char *name)
{
	static char buf[4096];
	ssize_t n;
	int fd = openat(parent.state.fd, name, O_RDONLY | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	assert_true(n >= 0);
	buf[n] = '\0';
	return buf;
}

#endif
