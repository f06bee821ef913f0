/*
 * Requests of the SCSI host: header, response and data in segments cut at
 * every place; whom they are for; room for data, too little and too much;
 * the control queue.
 */

#include <linux/virtio_scsi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "vmd/dev/vioscsi_req.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define BLOCKS	 100

static struct cdrom cd;
static struct vioscsi_req r;
static struct virtio_scsi_cmd_req req;
static uint8_t in[4 * 2048];
static struct virtio_scsi_cmd_resp resp;

/* Bytes in up to three segments, each in memory of its own. */
struct parts {
	struct iovec iov[3];
	uint32_t len;
	int n;
};

static void
part(struct parts *p, const uint8_t *from, size_t len)
{
	struct iovec *v = &p->iov[p->n];

	if (len == 0)
		return;
	v->iov_len = len;
	v->iov_base = malloc(len);
	assert_non_null(v->iov_base);
	memcpy(v->iov_base, from, len);
	p->n++;
	p->len += (uint32_t)len;
}

static void
cut(struct parts *p, const void *from, size_t len, size_t a, size_t b)
{
	memset(p, 0, sizeof(*p));
	part(p, from, a);
	part(p, (const uint8_t *)from + a, b - a);
	part(p, (const uint8_t *)from + b, len - b);
}

/* Put them together again. */
static void
join(struct parts *p, void *to)
{
	uint8_t *at = to;
	int i;

	for (i = 0; i < p->n; i++) {
		memcpy(at, p->iov[i].iov_base, p->iov[i].iov_len);
		at += p->iov[i].iov_len;
		free(p->iov[i].iov_base);
	}
}

static void
chain(struct vq_chain *c, struct parts *rd, struct parts *wr)
{
	memset(c, 0, sizeof(*c));
	c->rd = rd->iov;
	c->nrd = (uint16_t)rd->n;
	c->rdlen = rd->len;
	c->wr = wr->iov;
	c->nwr = (uint16_t)wr->n;
	c->wrlen = wr->len;
}

static int
setup(void **state)
{
	cdrom_init(&cd, BLOCKS * 2048);
	memset(&req, 0, sizeof(req));
	req.lun[0] = 1;
	req.lun[2] = 0x40;
	return 0;
}

/*
 * Run `req' with `room' bytes for data, cut in three; what was written, and
 * `resp' and `in'.  What is to be read is read as 0x5a.
 */
static uint32_t
run_cut(size_t room, size_t out, size_t a, size_t b, int error)
{
	uint8_t buf[sizeof(resp) + sizeof(in)], head[sizeof(req) + 512] = { 0 };
	struct parts rd, wr;
	struct vq_chain c;
	struct iovec data[4];
	uint32_t len;
	size_t all = sizeof(resp) + room, first = sizeof(req) + out;
	int i, n;

	memset(buf, 0xee, sizeof(buf));
	memcpy(head, &req, sizeof(req));
	cut(&rd, head, first, a < first ? a : first, b < first ? b : first);
	cut(&wr, buf, all, a < all ? a : all, b < all ? b : all);
	chain(&c, &rd, &wr);
	assert_int_equal(vioscsi_req_begin(&r, &cd, &c), 0);
	assert_true(r.len <= room);
	if (r.len > 0) {
		n = vq_iov_slice(c.wr, c.nwr, VIOSCSI_RESPONSE, r.len, data, 4);
		assert_true(n > 0);
		for (i = 0; i < n; i++)
			memset(data[i].iov_base, 0x5a, data[i].iov_len);
	}
	len = vioscsi_req_end(&r, &c, error);
	assert_true(len >= sizeof(resp) && len <= all);
	join(&rd, head);
	join(&wr, buf);
	memcpy(&resp, buf, sizeof(resp));
	memcpy(in, buf + sizeof(resp), sizeof(in));
	return len;
}

static uint32_t
run(size_t room)
{
	return run_cut(room, 0, 1000, 1000, 0);
}

static void
every_cut(void **state)
{
	size_t a, b;

	for (a = 0; a <= 150; a++)
		for (b = a; b <= 150; b++) {
			req.cdb[0] = 0x12;
			req.cdb[4] = 36;
			assert_int_equal(run_cut(36, 0, a, b, 0), 144);
			assert_int_equal(resp.response, VIRTIO_SCSI_S_OK);
			assert_int_equal(resp.status, 0);
			assert_int_equal(resp.resid, 0);
			assert_int_equal(resp.sense_len, 0);
			assert_memory_equal(in + 8, "OpenBSD VMM CD-ROM", 18);
			req.cdb[0] = 0x08;
			req.cdb[4] = 1;
			assert_int_equal(run_cut(2048, 0, a, b, 0), 2156);
			assert_int_equal(resp.response, VIRTIO_SCSI_S_OK);
			assert_int_equal(in[0], 0x5a);
			assert_int_equal(in[2047], 0x5a);
			assert_int_equal(in[2048], 0xee);
		}
}

/* Any address but that of target 0, unit 0. */
static void
addresses(void **state)
{
	unsigned int i, j;

	req.cdb[0] = 0x00;
	for (i = 0; i < 8; i++)
		for (j = 0; j < 256; j++) {
			setup(NULL);
			req.lun[i] = (uint8_t)j;
			assert_int_equal(run(64), 108);
			if ((i == 0 && j == 1) ||
			    (i == 2 && (j == 0 || j == 0x40)) ||
			    (i != 0 && i != 2 && j == 0))
				assert_int_equal(resp.response,
				    VIRTIO_SCSI_S_OK);
			else
				assert_int_equal(resp.response,
				    VIRTIO_SCSI_S_BAD_TARGET);
			assert_int_equal(resp.resid, 64);
		}
}

/* Too little room for what there is is told; more than that is left. */
static void
rooms(void **state)
{
	size_t room;

	req.cdb[0] = 0x12;
	req.cdb[4] = 255;
	for (room = 0; room < 100; room++) {
		if (room < 36) {
			assert_int_equal(run(room), 108);
			assert_int_equal(resp.response, VIRTIO_SCSI_S_OVERRUN);
			assert_int_equal(resp.resid, room);
			assert_int_equal(in[0], 0xee);
		} else {
			assert_int_equal(run(room), 144);
			assert_int_equal(resp.response, VIRTIO_SCSI_S_OK);
			assert_int_equal(resp.resid, room - 36);
			assert_int_equal(in[36], 0xee);
		}
	}
	req.cdb[0] = 0x28;
	memset(req.cdb + 1, 0, 31);
	req.cdb[8] = 2;
	assert_int_equal(run(4095), 108);
	assert_int_equal(resp.response, VIRTIO_SCSI_S_OVERRUN);
	assert_int_equal(run(4096), 4204);
	assert_int_equal(resp.resid, 0);
	assert_int_equal(run(8000), 4204);
	assert_int_equal(resp.response, VIRTIO_SCSI_S_OK);
	assert_int_equal(resp.resid, 8000 - 4096);
	assert_int_equal(in[4095], 0x5a);
	assert_int_equal(in[4096], 0xee);
}

static void
where_to_read(void **state)
{
	req.cdb[0] = 0x28;
	req.cdb[5] = 99;
	req.cdb[8] = 1;
	run(2048);
	assert_true(r.off == 99 * 2048);
	assert_int_equal(r.len, 2048);
	req.cdb[5] = 100;
	assert_int_equal(run(2048), 108);
	assert_int_equal(r.len, 0);
	assert_int_equal(resp.response, VIRTIO_SCSI_S_OK);
	assert_int_equal(resp.status, 2);
	assert_int_equal(resp.resid, 2048);
	assert_int_equal(resp.sense_len, 18);
	assert_int_equal(resp.sense[2], 5);
	assert_int_equal(resp.sense[12], 0x21);
}

static void
read_fails(void **state)
{
	req.cdb[0] = 0x28;
	req.cdb[8] = 1;
	assert_int_equal(run_cut(2048, 0, 60, 200, 5), 108);
	assert_int_equal(resp.response, VIRTIO_SCSI_S_OK);
	assert_int_equal(resp.status, 2);
	assert_int_equal(resp.resid, 2048);
	assert_int_equal(resp.sense[2], 3);
	assert_int_equal(resp.sense[12], 0x11);
}

/* Data that is sent: nobody takes it. */
static void
data_out(void **state)
{
	req.cdb[0] = 0x2a;
	assert_int_equal(run_cut(0, 512, 20, 60, 0), 108);
	assert_int_equal(resp.status, 2);
	assert_int_equal(resp.sense[12], 0x20);
	assert_int_equal(resp.resid, 512);
	req.cdb[0] = 0x00;
	assert_int_equal(run_cut(0, 0, 20, 60, 0), 108);
	assert_int_equal(resp.status, 0);
	assert_int_equal(resp.resid, 0);
}

static void
too_short(void **state)
{
	uint8_t buf[256] = { 0 };
	struct parts rd, wr;
	struct vq_chain c;
	size_t n, m;
	int ok;

	for (n = 0; n < 120; n++)
		for (m = 0; m < 120; m++) {
			cut(&rd, &req, n < sizeof(req) ? n : sizeof(req), 0, 0);
			cut(&wr, buf, m, m / 2, m / 2);
			chain(&c, &rd, &wr);
			ok = n >= sizeof(req) && m >= sizeof(resp);
			assert_int_equal(vioscsi_req_begin(&r, &cd, &c),
			    ok ? 0 : -1);
			join(&rd, buf);
			join(&wr, buf);
		}
}

/* --- the control queue ------------------------------------------------ */

static uint8_t answer[8];
static int hold;

static int
ctl(const void *p, size_t len, size_t room, size_t a)
{
	struct parts rd, wr;
	struct vq_chain c;
	uint8_t buf[64];
	int rc;

	memset(answer, 0xee, sizeof(answer));
	cut(&rd, p, len, a < len ? a : len, len);
	cut(&wr, answer, room, room > 0 ? 1 : 0, room);
	chain(&c, &rd, &wr);
	rc = vioscsi_control(&cd, &c, &hold);
	join(&rd, buf);
	join(&wr, answer);
	return rc;
}

static void
task_management(void **state)
{
	struct virtio_scsi_ctrl_tmf_req t = { .lun = { 1, 0, 0x40 } };
	unsigned int sub, a;

	for (sub = 0; sub < 20; sub++)
		for (a = 0; a < sizeof(t); a++) {
			t.subtype = sub;
			assert_int_equal(ctl(&t, sizeof(t), 1, a), 1);
			assert_int_equal(answer[0], sub < 8 ? 0 : 11);
			assert_int_equal(hold, sub < 6);
			assert_int_equal(answer[1], 0xee);
			t.lun[3] = 1;
			assert_int_equal(ctl(&t, sizeof(t), 1, a), 1);
			assert_int_equal(answer[0], VIRTIO_SCSI_S_BAD_TARGET);
			assert_int_equal(hold, 0);
			t.lun[3] = 0;
		}
	assert_int_equal(ctl(&t, sizeof(t) - 1, 1, 0), -1);
	assert_int_equal(ctl(&t, sizeof(t), 0, 0), -1);
	/* A reset gives the medium free. */
	cd.locked = 1;
	t.subtype = VIRTIO_SCSI_T_TMF_ABORT_TASK_SET;
	ctl(&t, sizeof(t), 1, 0);
	assert_int_equal(cd.locked, 1);
	t.subtype = VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET;
	ctl(&t, sizeof(t), 1, 0);
	assert_int_equal(cd.locked, 0);
}

static void
notifications(void **state)
{
	struct virtio_scsi_ctrl_an_req n = { .lun = { 1, 0, 0x40 } };
	uint32_t type;

	for (type = 1; type <= 2; type++) {
		n.type = type;
		n.event_requested = 0xffffffff;
		n.lun[1] = 0;
		assert_int_equal(ctl(&n, sizeof(n), 5, 7), 5);
		assert_memory_equal(answer, "\0\0\0\0\0\xee", 6);
		assert_int_equal(hold, 0);
		n.lun[1] = 1;
		assert_int_equal(ctl(&n, sizeof(n), 5, 7), 5);
		assert_int_equal(answer[4], VIRTIO_SCSI_S_BAD_TARGET);
		assert_int_equal(ctl(&n, sizeof(n), 4, 7), -1);
		assert_int_equal(ctl(&n, sizeof(n) - 1, 5, 7), -1);
	}
	type = 3;
	assert_int_equal(ctl(&type, 4, 5, 0), 0);
	assert_int_equal(answer[0], 0xee);
	assert_int_equal(ctl(&type, 3, 5, 0), -1);
	assert_int_equal(ctl(&type, 4, 0, 0), 0);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(every_cut),
		T(addresses),
		T(rooms),
		T(where_to_read),
		T(read_fails),
		T(data_out),
		T(too_short),
		T(task_management),
		T(notifications),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vioscsi_req", tests, NULL, NULL);
}
