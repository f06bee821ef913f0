/*
 * What this host's KVM can do: its capabilities, and whether a small guest
 * of ours gets through the instructions that every kernel needs.  Run once
 * when vmm starts; the parent logs one line and answers `vmctl host'.
 */

#include <stdlib.h>
#include <string.h>

#include "lib/util/log.h"
#include "lib/vmm/vmm.h"
#include "vmd/vmm/vmm.h"

void
probe_done(struct vmm_role *m, int ok, const char *text)
{
	const struct msg_hdr none = { 0 };
	struct host_info h = { .probe_ok = (uint32_t)ok };
	char *caps, line[1024];
	struct ibuf *b;

	strncpy(line, text == NULL ? "no answer" : text, sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	caps = vmm_host_caps(m->kvm);
	h.caps = caps == NULL ? line : caps;
	h.probe = h.kind = line;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    host_info_put(b, &h) == -1) {
		ibuf_free(b);
		log_warnx("probe guest: no memory");
	} else {
		peer_send(m->up, IMSG_CTL_HOST_RESPONSE, none, b, NULL, 0);
	}
	free(caps);
}

void
probe_start(struct vmm_role *m)
{
	const struct msg_hdr none = { 0 };
	struct fdlist fds = FDLIST_INIT;
	struct vm_spec *spec;
	char why[256] = "no memory";

	if ((spec = vm_spec_new("probe")) != NULL) {
		spec->flags = VMF_PROBE;
		spec->cpus = 1;
		if (guest_launch(m, spec, &fds, none, why, sizeof(why)) != NULL)
			why[0] = '\0';
	}
	vm_spec_free(spec);
	fdlist_close(&fds);
	if (why[0] != '\0')
		probe_done(m, 0, why);
}
