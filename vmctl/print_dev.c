/*
 * What vmctl shows of the devices of a running VM: what they are comes from
 * the VM's specification, the numbers from the list beside it.
 */

#include <stdio.h>
#include <stdlib.h>

#include "lib/proto/devmsg.h"
#include "lib/util/scaled.h"
#include "vmctl/vmctl.h"

#define DISK_COUNTERS (DEVS_ERRORS + 1)

/* A device, from both. */
struct view {
	char name[16];
	const char *path;
	const char *format; /* NULL: not known */
	const char *serial; /* or NULL */
	uint32_t layers;    /* 0: not known */
	int readonly;
};

/* 0, or -1 if there is no such device. */
static int
look(const struct vm_spec *s, const struct dev_stats *d, struct view *v)
{
	const struct disk_spec *disk;

	*v = (struct view){ .format = "raw", .layers = 1, .readonly = 1 };
	if (d->kind == DEV_VIOSCSI && d->idx == 0 && s->cdrom != NULL) {
		snprintf(v->name, sizeof(v->name), "%s",
		    dev_kind_name(DEV_VIOSCSI));
		v->path = s->cdrom;
		return 0;
	}
	if (d->kind != DEV_VIOBLK || d->idx >= s->ndisks)
		return -1;
	disk = &s->disks[d->idx];
	snprintf(v->name, sizeof(v->name), "%s%u", dev_kind_name(DEV_VIOBLK),
	    d->idx);
	v->path = disk->path;
	v->serial = disk->serial;
	v->layers = disk->layers;
	v->readonly = (disk->flags & DISKF_READONLY) != 0;
	if (disk->layers == 0)
		v->format = NULL;
	else if (disk->qcow2 & 1)
		v->format = "qcow2";
	return 0;
}

static json_t *
device_json(const struct vm_spec *s, const struct dev_stats *d)
{
	static const char *const names[DISK_COUNTERS] = {
		[DEVS_READS] = "reads",
		[DEVS_WRITES] = "writes",
		[DEVS_READ_BYTES] = "read_bytes",
		[DEVS_WRITE_BYTES] = "written_bytes",
		[DEVS_FLUSHES] = "flushes",
		[DEVS_ERRORS] = "errors",
	};
	const char *state = dev_state_text((enum dev_state)d->state);
	json_t *j = json_object();
	struct view v;
	size_t i;

	if (look(s, d, &v) == -1) {
		json_decref(j);
		return NULL;
	}
	json_object_set_new(j, "name", json_text(v.name));
	json_object_set_new(j, "path", json_text(v.path));
	json_object_set_new(j, "format", json_text(v.format));
	json_object_set_new(j, "read_only", json_boolean(v.readonly));
	json_object_set_new(j, "serial", json_text(v.serial));
	json_object_set_new(j, "layers",
	    number_or_null(v.layers != 0, v.layers));
	json_object_set_new(j, "size", number_or_null(d->size != 0, d->size));
	json_object_set_new(j, "state", json_text(state));
	json_object_set_new(j, "replaced",
	    number_or_null(state != NULL, d->replaced));
	for (i = 0; i < DISK_COUNTERS; i++)
		json_object_set_new(j, names[i],
		    number_or_null(d->counted != 0, d->counts[i]));
	return j;
}

json_t *
devices_json(const struct vm_info *i)
{
	json_t *j, *d;
	uint32_t n;

	if (!i->has_devs)
		return json_null();
	j = json_array();
	for (n = 0; n < i->devs.n; n++)
		if ((d = device_json(i->spec, &i->devs.devs[n])) != NULL)
			json_array_append_new(j, d);
	return j;
}

/* --- the table ------------------------------------------------------------ */

static void
print_counts(const struct dev_stats *d)
{
	const uint64_t *c = d->counts;
	char b[4][COUNT_LEN], s[2][SCALED_LEN];
	int k = d->counted != 0;

	printf(" %9s %9s %7s %7s %7s %6s", table_count(k, c[DEVS_READS], b[0]),
	    table_count(k, c[DEVS_WRITES], b[1]),
	    table_bytes(k, c[DEVS_READ_BYTES], s[0]),
	    table_bytes(k, c[DEVS_WRITE_BYTES], s[1]),
	    table_count(k, c[DEVS_FLUSHES], b[2]),
	    table_count(k, c[DEVS_ERRORS], b[3]));
}

static void
print_device(const struct vm_spec *s, const struct dev_stats *d)
{
	const char *state = dev_state_text((enum dev_state)d->state);
	char b[2][COUNT_LEN], size[SCALED_LEN];
	char *serial, *path;
	struct view v;

	if (look(s, d, &v) == -1)
		return;
	serial = table_field(v.serial);
	path = table_field(v.path);
	printf("%-9s %7s %8s %7s %6s %6s %4s", v.name,
	    state == NULL ? "-" : state,
	    table_count(state != NULL, d->replaced, b[0]),
	    table_bytes(d->size != 0, d->size, size),
	    v.format == NULL ? "-" : v.format,
	    table_count(v.layers != 0, v.layers, b[1]),
	    v.readonly ? "ro" : "rw");
	print_counts(d);
	printf(" %s %s\n", serial, path);
	free(path);
	free(serial);
}

void
print_devices(const struct vm_info *i)
{
	uint32_t n;

	if (!i->has_devs || (i->spec->ndisks == 0 && i->spec->cdrom == NULL))
		return;
	printf("\n%-9s %7s %8s %7s %6s %6s %4s %9s %9s %7s %7s %7s %6s %s %s\n",
	    "DEVICE", "STATE", "REPLACED", "SIZE", "FORMAT", "LAYERS", "MODE",
	    "READS", "WRITES", "READ", "WRITTEN", "FLUSHES", "ERRORS", "SERIAL",
	    "PATH");
	for (n = 0; n < i->devs.n; n++)
		print_device(i->spec, &i->devs.devs[n]);
}
