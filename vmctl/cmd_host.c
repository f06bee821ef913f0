/*
 * host: what KVM can do here.  The daemon knows most, as it has run a probe
 * guest; without one /dev/kvm is asked directly.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/vmm/vmm.h"
#include "vmctl/vmctl.h"

static void
print_lines(const char *text)
{
	char *copy = strdup(text), *rest = copy, *line, *s;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == '\0')
			continue;
		s = safe(line);
		printf("%s\n", s);
		free(s);
	}
	free(copy);
}

/* "NAME=value" lines as an object. */
static json_t *
caps_json(const char *caps)
{
	char *copy = strdup(caps), *rest = copy, *line, *value, *end;
	json_t *o = json_object();
	long long n;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if ((value = strchr(line, '=')) == NULL)
			continue;
		*value++ = '\0';
		errno = 0;
		n = strtoll(value, &end, 10);
		json_object_set_new(o, line,
		    end != value && *end == '\0' && errno == 0 ?
			json_integer(n) :
			json_text(value));
	}
	free(copy);
	return o;
}

/* `probe' is NULL when none was run. */
static int
print_host(const struct vmctl *ctl, const char *kind, const char *caps,
    const char *probe, int probe_ok)
{
	if (ctl->json)
		return print_json(json_pack("{s:o,s:o,s:o,s:o}", "kind",
		    json_text(kind), "probe", json_text(probe), "probe_ok",
		    probe == NULL ? json_null() : json_boolean(probe_ok),
		    "caps", caps_json(caps)));
	if (kind != NULL)
		print_lines(kind);
	if (probe != NULL && (kind == NULL || strcmp(kind, probe) != 0))
		print_lines(probe);
	print_lines(caps);
	return ST_DONE;
}

/* Without the daemon. */
static int
local(struct vmctl *ctl)
{
	char why[256] = "", *caps;
	int fd, rc;

	if ((fd = open("/dev/kvm", O_RDWR | O_CLOEXEC)) == -1 ||
	    (caps = vmm_host_caps(fd)) == NULL) {
		complain(ctl, NULL, "/dev/kvm: %s", strerror(errno));
		fd_close(&fd);
		return ST_FAILED;
	}
	rc = vmm_host_check(fd, why, sizeof(why));
	fd_close(&fd);
	print_host(ctl, NULL, caps, NULL, 0);
	free(caps);
	if (rc == 0)
		return ST_DONE;
	complain(ctl, NULL, "%s", why);
	return ST_FAILED;
}

static int
answered(struct vmctl *ctl, struct answer *a)
{
	struct vmop_result r;
	struct host_info h;
	int rc = ST_FAILED;

	if (a->type == IMSG_CTL_FAIL) {
		if ((rc = answer_result(ctl, a, &r)) == ST_DONE) {
			rc = complain_result(ctl, NULL, &r);
			vmop_result_fini(&r);
		}
	} else if (a->type != IMSG_CTL_HOST_RESPONSE ||
	    host_info_get(&a->body, &h) == -1) {
		complain(ctl, NULL, "malformed answer");
	} else {
		if (wire_end(&a->body) == -1)
			complain(ctl, NULL, "malformed answer");
		else
			rc = print_host(ctl, h.kind, h.caps, h.probe,
			    h.probe_ok != 0);
		host_info_fini(&h);
	}
	return rc;
}

int
cmd_host(struct vmctl *ctl, int argc, char **argv)
{
	struct answer a;
	int rc;

	if (next_opt(ctl, argc, argv) != -1 || optind != argc)
		return ST_USAGE;
	if (client_try(ctl) == -1) {
		if (ctl->verbose)
			complain(ctl, NULL, "%s: %s", ctl->socket,
			    strerror(errno));
		return local(ctl);
	}
	if ((rc = client_send(ctl, IMSG_CTL_HOST_REQUEST, NULL)) != ST_DONE ||
	    (rc = client_recv(ctl, &a)) != ST_DONE)
		return rc;
	rc = answered(ctl, &a);
	answer_fini(&a);
	return rc;
}
