/*
 * host: what KVM can do here, and what may keep guests offline.  The daemon
 * knows most, as it has run a probe guest; without one /dev/kvm is asked
 * directly.
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

/* Lines as an array. */
static json_t *
lines_json(const char *text)
{
	char *copy = text == NULL ? NULL : strdup(text), *rest = copy, *line;
	json_t *j;

	if (copy == NULL)
		return json_null();
	j = json_array();
	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			json_array_append_new(j, json_text(line));
	free(copy);
	return j;
}

/* Only caps are known without the daemon. */
static int
print_host(const struct vmctl *ctl, const struct host_info *h)
{
	if (ctl->json)
		return print_json(json_pack("{s:o,s:o,s:o,s:o,s:o}", "kind",
		    json_text(h->kind), "probe", json_text(h->probe),
		    "probe_ok",
		    h->probe == NULL ? json_null() : json_boolean(h->probe_ok),
		    "caps", caps_json(h->caps), "network", lines_json(h->net)));
	if (h->kind != NULL)
		print_lines(h->kind);
	if (h->probe != NULL &&
	    (h->kind == NULL || strcmp(h->kind, h->probe) != 0))
		print_lines(h->probe);
	if (h->net != NULL)
		print_lines(h->net);
	print_lines(h->caps);
	return ST_DONE;
}

/* Without the daemon. */
static int
local(struct vmctl *ctl)
{
	struct host_info h = { 0 };
	char why[256] = "";
	int fd, rc;

	if ((fd = open("/dev/kvm", O_RDWR | O_CLOEXEC)) == -1 ||
	    (h.caps = vmm_host_caps(fd)) == NULL) {
		complain(ctl, NULL, "/dev/kvm: %s", strerror(errno));
		fd_close(&fd);
		return ST_FAILED;
	}
	rc = vmm_host_check(fd, why, sizeof(why));
	fd_close(&fd);
	print_host(ctl, &h);
	host_info_fini(&h);
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
			rc = print_host(ctl, &h);
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
