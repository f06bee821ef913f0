/*
 * disk info, disk check: what an image is, and whether its tables are sound.
 */

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/scaled.h"
#include "vmctl/cmd_disk.h"

typedef unsigned long long ull;

static const char *
backing_format(const struct qcow2_hdr *h)
{
	if (h->backing_fmt == QCOW2_BACKING_RAW)
		return "raw";
	return h->backing_fmt == QCOW2_BACKING_QCOW2 ? "qcow2" : NULL;
}

/* Bytes of the host's disk that a file takes. */
static uint64_t
allocated(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static void
print_bytes(const char *label, uint64_t n)
{
	char buf[SCALED_LEN];

	printf("%-17s%s (%llu bytes)\n", label, scaled_fmt(buf, n), (ull)n);
}

static void
print_qcow2(const struct qcow2_hdr *h)
{
	const char *fmt = backing_format(h);
	char *s;

	if (h->backing_fmt != QCOW2_BACKING_NONE) {
		s = safe(h->backing);
		printf("%-17s%s\n", "backing file:", s);
		printf("%-17s%s\n",
		    "backing format:", fmt == NULL ? "not declared" : fmt);
		free(s);
	}
	printf("%-17s%llu bytes\n", "cluster size:", (ull)qcow2_cluster(h));
	printf("%-17s%u bits%s\n", "refcounts:", 1U << h->ref_order,
	    h->compat & QCOW2_LAZY ? ", lazy" : "");
	printf("%-17s%s\n", "compression:", h->zstd ? "zstd" : "deflate");
	printf("%-17s%u\n", "snapshots:", h->nsnapshots);
	printf("%-17s%u\n", "bitmaps:", h->nbitmaps);
	if (h->incompat & QCOW2_CORRUPT)
		printf("%-17s%s\n", "state:", "marked corrupt");
	else if (h->incompat & QCOW2_DIRTY)
		printf("%-17s%s\n", "state:", "not closed, needs repair");
	else
		printf("%-17s%s\n", "state:", "clean");
}

static json_t *
info_json(const struct job *job, const struct job_result *r)
{
	const struct qcow2_hdr *h = &r->h;
	json_t *o;

	o = json_pack("{s:o,s:s,s:I,s:I}", "file", json_text(job->path),
	    "format", job->qcow2 ? "qcow2" : "raw", "size", (json_int_t)r->size,
	    "allocated", (json_int_t)allocated(job->fd));
	if (o == NULL || !job->qcow2)
		return o;
	if (json_object_update_new(o,
		json_pack("{s:I,s:I,s:I,s:b,s:s,s:I,s:I,s:b,s:b}", "version",
		    (json_int_t)h->version, "cluster_size",
		    (json_int_t)qcow2_cluster(h), "refcount_bits",
		    (json_int_t)1 << h->ref_order, "lazy_refcounts",
		    (h->compat & QCOW2_LAZY) != 0, "compression",
		    h->zstd ? "zstd" : "deflate", "snapshots",
		    (json_int_t)h->nsnapshots, "bitmaps",
		    (json_int_t)h->nbitmaps, "dirty",
		    (h->incompat & QCOW2_DIRTY) != 0, "corrupt",
		    (h->incompat & QCOW2_CORRUPT) != 0)) == -1 ||
	    json_object_set_new(o, "backing",
		json_text(h->backing_fmt == QCOW2_BACKING_NONE ? NULL :
								 h->backing)) ==
		-1 ||
	    json_object_set_new(o, "backing_format",
		json_text(backing_format(h))) == -1) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int
report_info(const struct vmctl *ctl, const struct job *job,
    const struct job_result *r)
{
	if (ctl->json)
		return print_json(info_json(job, r));
	if (job->qcow2)
		printf("%-17sqcow2 version %u\n", "format:", r->h.version);
	else
		printf("%-17sraw\n", "format:");
	print_bytes("size:", r->size);
	print_bytes("on disk:", allocated(job->fd));
	if (job->qcow2)
		print_qcow2(&r->h);
	return ST_DONE;
}

static void
print_check(const struct image_check *k, int repaired)
{
	if (k->corruptions > IMAGE_CHECK_LINES)
		printf("and %llu more\n",
		    (ull)(k->corruptions - IMAGE_CHECK_LINES));
	if (k->corrupt)
		printf("the image is marked corrupt%s\n",
		    repaired ? ", which is repaired" : "");
	if (k->dirty)
		printf("the image was not closed: %llu refcounts are too "
		       "low%s\n",
		    (ull)k->stale, repaired ? ", which is repaired" : "");
	printf("%llu corruptions, %llu leaked clusters", (ull)k->corruptions,
	    (ull)k->leaks);
	if (k->leaks_fixed != 0)
		printf(", %llu of them freed", (ull)k->leaks_fixed);
	printf("; %llu clusters with data, %llu compressed, %llu in the "
	       "file\n",
	    (ull)k->data, (ull)k->compressed, (ull)k->clusters);
}

static json_t *
check_json(const struct job *job, const struct image_check *k, int good)
{
	return json_pack(
	    "{s:o,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:b,s:O}", "file",
	    json_text(job->path), "format", job->qcow2 ? "qcow2" : "raw",
	    "corruptions", (json_int_t)k->corruptions, "leaks",
	    (json_int_t)k->leaks, "leaks_freed", (json_int_t)k->leaks_fixed,
	    "stale_refcounts", (json_int_t)k->stale, "data_clusters",
	    (json_int_t)k->data, "compressed_clusters",
	    (json_int_t)k->compressed, "file_clusters", (json_int_t)k->clusters,
	    "dirty", k->dirty, "corrupt", k->corrupt, "good", good, "problems",
	    job->problems);
}

static int
report_check(const struct vmctl *ctl, const struct job *job,
    const struct job_result *r)
{
	const struct image_check *k = &r->check;
	int repaired = job->check_flags & IMAGE_CHECK_REPAIR &&
	    k->corruptions == 0;
	int good = k->corruptions == 0 && k->leaks == k->leaks_fixed &&
	    ((!k->dirty && !k->corrupt) || repaired);

	if (!job->qcow2 && !ctl->json)
		printf("a raw image has no tables to check\n");
	else if (!ctl->json)
		print_check(k, repaired);
	else if (print_json(check_json(job, k, good)) != ST_DONE)
		return ST_FAILED;
	return good ? ST_DONE : ST_FAILED;
}

int
cmd_disk(struct vmctl *ctl, int argc, char **argv)
{
	struct job job = { .kind = JOB_INFO, .fd = -1, .out = -1 };
	struct job_result r;
	char why[256];
	int c, rc;

	while ((c = next_opt(ctl, argc, argv)) != -1) {
		if (c != 'r')
			return ST_USAGE;
		job.check_flags |= IMAGE_CHECK_REPAIR;
	}
	if (argc - optind != 2)
		return ST_USAGE;
	if (strcmp(argv[optind], "check") == 0)
		job.kind = JOB_CHECK;
	else if (strcmp(argv[optind], "info") != 0 || job.check_flags != 0)
		return ST_USAGE;
	image_prefix(argv[optind + 1], &job.path);
	/* What is in use may be looked at. */
	job.fd = image_open(job.path, job.check_flags != 0,
	    job.kind == JOB_CHECK, why, sizeof(why));
	if (job.fd == -1) {
		rc = file_status(errno);
		complain(ctl, job.path, "%s", why);
		return rc;
	}
	job.qcow2 = image_format(argv[optind + 1], job.fd) == FMT_QCOW2;
	if (ctl->json)
		job.problems = json_array();
	rc = job_run(ctl, job.path, &job, &r);
	if (rc == ST_DONE)
		rc = job.kind == JOB_INFO ? report_info(ctl, &job, &r) :
					    report_check(ctl, &job, &r);
	json_decref(job.problems);
	fd_close(&job.fd);
	return rc;
}
