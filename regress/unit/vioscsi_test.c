/*
 * The SCSI host without its process: reading from an image, the control
 * queue behind what is being read, the event queue, an image that shrank.
 */

#include <endian.h>
#include <fcntl.h>
#include <linux/virtio_scsi.h>
#include <unistd.h>

#include "regress/unit/dev_fake.h"
#include "regress/unit/vq_test.h"

#define BLOCKS 64
#define HDR    FAKE_DATA
#define RESP   (FAKE_DATA + 0x800)
#define BUF    (FAKE_DATA + 0x1000)

struct one {
	struct fake f;
	int fd;
	unsigned int ndesc;
	uint16_t seen; /* used.idx */
};

static int
setup(void **state)
{
	struct one *o = calloc(1, sizeof(*o));
	uint8_t block[2048];
	int i, fd;

	assert_non_null(o);
	fd = memfd_create("cd", MFD_CLOEXEC);
	assert_int_not_equal(fd, -1);
	for (i = 0; i < BLOCKS; i++) {
		memset(block, i + 1, sizeof(block));
		assert_int_equal(write(fd, block, sizeof(block)),
		    sizeof(block));
	}
	o->fd = dup(fd);
	assert_int_equal(fake_open(&o->f, &vioscsi_ops, &fd, 1, DISKF_READONLY,
			     0),
	    0);
	o->f.watch.on = 1;
	*state = o;
	return 0;
}

static int
teardown(void **state)
{
	struct one *o = *state;

	fake_close(&o->f);
	close(o->fd);
	free(o);
	return 0;
}

static uint8_t *
mem(struct one *o, uint64_t gpa)
{
	return o->f.d.mem.base + gpa;
}

static void
seg(struct one *o, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct test_desc d = { addr, len, flags | F_NEXT,
		(uint16_t)(o->ndesc + 1) };

	desc_put(&o->f.d.mem, FAKE_DESC, o->ndesc++, &d);
}

/* The chain ends here. */
static void
close_chain(struct one *o)
{
	uint64_t last = FAKE_DESC + 16ULL * (o->ndesc - 1) + 12;

	poke16(&o->f.d.mem, last,
	    peek16(&o->f.d.mem, last) & (uint16_t)~F_NEXT);
}

static uint32_t
used(struct one *o)
{
	o->seen++;
	return peek32(&o->f.d.mem,
	    FAKE_USED + 4 + 8ULL * ((o->seen - 1U) % FAKE_QUEUE) + 4);
}

static uint32_t
go(struct one *o, unsigned int q)
{
	close_chain(o);
	offer(&o->f.d.mem, &o->f.d.queues[q].vq.conf, 0);
	assert_int_equal(fake_run(&o->f), 0);
	assert_int_equal(peek16(&o->f.d.mem, FAKE_USED + 2), o->seen + 1);
	return used(o);
}

/* READ(10) into `len' bytes at BUF, in pieces of `piece'. */
static void
read10(struct one *o, uint32_t lba, uint16_t count, uint32_t len,
    uint32_t piece)
{
	struct virtio_scsi_cmd_req h = { .lun = { 1, 0, 0x40 },
		.cdb = { 0x28 } };
	uint32_t at;

	h.cdb[4] = (uint8_t)(lba >> 8);
	h.cdb[5] = (uint8_t)lba;
	h.cdb[7] = (uint8_t)(count >> 8);
	h.cdb[8] = (uint8_t)count;
	memcpy(mem(o, HDR), &h, sizeof(h));
	memset(mem(o, RESP), 0xee, sizeof(struct virtio_scsi_cmd_resp));
	o->ndesc = 0;
	seg(o, HDR, sizeof(h), 0);
	seg(o, RESP, sizeof(struct virtio_scsi_cmd_resp), F_WRITE);
	for (at = 0; at < len; at += piece)
		seg(o, BUF + at, len - at < piece ? len - at : piece, F_WRITE);
}

static struct virtio_scsi_cmd_resp *
resp(struct one *o)
{
	return (void *)mem(o, RESP);
}

static void
config(void **state)
{
	struct one *o = *state;
	struct virtio_scsi_config c;

	assert_int_equal(o->f.ready.config_len, 36);
	memcpy(&c, o->f.ready.config, sizeof(c));
	assert_int_equal(le32toh(c.num_queues), 1);
	assert_int_equal(le32toh(c.seg_max), 17);
	assert_int_equal(le32toh(c.max_sectors), 2048);
	assert_int_equal(le32toh(c.cmd_per_lun), 1);
	assert_int_equal(le32toh(c.event_info_size), 16);
	assert_int_equal(le32toh(c.sense_size), 96);
	assert_int_equal(le32toh(c.cdb_size), 32);
	assert_int_equal(c.max_channel, 0);
	assert_int_equal(le16toh(c.max_target), 1);
	assert_int_equal(le32toh(c.max_lun), 1);
	assert_true(o->f.ready.features == (VQ_F_INDIRECT | VQ_F_EVENT_IDX));
}

static void
reads(void **state)
{
	struct one *o = *state;
	uint8_t *m;
	uint32_t piece;
	unsigned int i;

	fake_activate(&o->f, 2, 0);
	m = mem(o, BUF);
	for (piece = 700; piece <= 8192; piece += 511) {
		memset(m, 0xee, 9000);
		read10(o, 10, 3, 8192, piece);
		assert_int_equal(go(o, 2), 108 + 3 * 2048);
		assert_int_equal(resp(o)->response, 0);
		assert_int_equal(resp(o)->status, 0);
		assert_int_equal(le32toh(resp(o)->resid), 2048);
		for (i = 0; i < 3 * 2048; i++)
			assert_int_equal(m[i], 11 + i / 2048);
		assert_int_equal(m[3 * 2048], 0xee);
	}
	read10(o, 0, BLOCKS, BLOCKS * 2048, 65536);
	assert_int_equal(go(o, 2), 108 + BLOCKS * 2048);
	assert_int_equal(m[BLOCKS * 2048 - 1], BLOCKS);
	read10(o, BLOCKS, 1, 2048, 2048);
	assert_int_equal(go(o, 2), 108);
	assert_int_equal(resp(o)->status, 2);
	assert_int_equal(resp(o)->sense[12], 0x21);
	assert_true(o->f.page.stats[DEVS_READS] > 10);
	assert_int_equal(o->f.page.stats[DEVS_ERRORS], 0);
	assert_int_equal(o->f.d.busy, 0);
}

/* Response and data in one segment, cut at odd places. */
static void
any_layout(void **state)
{
	struct one *o = *state;
	struct virtio_scsi_cmd_resp *r = (void *)mem(o, BUF);

	fake_activate(&o->f, 2, 0);
	read10(o, 5, 1, 0, 1);
	o->ndesc = 0;
	seg(o, HDR, 10, 0);
	seg(o, HDR + 10, 41, 0);
	seg(o, BUF, 50, F_WRITE);
	seg(o, BUF + 50, 70, F_WRITE);
	seg(o, BUF + 120, 108 + 2048 - 120, F_WRITE);
	memset(mem(o, BUF), 0xee, 4096);
	assert_int_equal(go(o, 2), 108 + 2048);
	assert_int_equal(r->response, 0);
	assert_int_equal(r->status, 0);
	assert_int_equal(le32toh(r->resid), 0);
	assert_int_equal(mem(o, BUF)[107], 0);
	assert_int_equal(mem(o, BUF)[108], 6);
	assert_int_equal(mem(o, BUF)[108 + 2047], 6);
	assert_int_equal(mem(o, BUF)[108 + 2048], 0xee);
}

/* The image became shorter than it was: 0s or an error, never a crash. */
static void
shrunk(void **state)
{
	struct one *o = *state;

	fake_activate(&o->f, 2, 0);
	assert_int_equal(ftruncate(o->fd, 2048), 0);
	read10(o, 10, 1, 2048, 2048);
	go(o, 2);
	assert_int_equal(resp(o)->response, 0);
	if (resp(o)->status != 0) {
		assert_int_equal(resp(o)->sense[2], 3);
		assert_int_equal(o->f.page.stats[DEVS_ERRORS], 1);
	} else
		assert_int_equal(mem(o, BUF)[0], 0);
	assert_int_equal(o->f.d.busy, 0);
}

static void
malformed(void **state)
{
	struct one *o = *state;

	fake_activate(&o->f, 2, 0);
	read10(o, 0, 1, 0, 1);
	o->ndesc = 1; /* no place for a response */
	close_chain(o);
	offer(&o->f.d.mem, &o->f.d.queues[2].vq.conf, 0);
	assert_int_equal(fake_run(&o->f), -1);
	assert_int_equal(o->f.d.busy, 0);
	fake_reset(&o->f);
	o->seen = 0;
	memset(mem(o, 0), 0, FAKE_DATA);
	fake_activate(&o->f, 2, 0);
	read10(o, 1, 1, 2048, 2048);
	assert_int_equal(go(o, 2), 108 + 2048);
}

static void
events_stay(void **state)
{
	struct one *o = *state;
	struct dev_vq *q = &o->f.d.queues[1];

	fake_activate(&o->f, 1, 0);
	o->ndesc = 0;
	seg(o, BUF, 16, F_WRITE);
	close_chain(o);
	offer(&o->f.d.mem, &q->vq.conf, 0);
	q->awake = 1;
	assert_int_equal(vioscsi_ops.queue(&o->f.d, q), 0);
	assert_int_equal(q->awake, 0); /* nobody looks at it by himself */
	assert_int_equal(vq_inflight_count(&q->vq), 0);
	assert_int_equal(peek16(&o->f.d.mem, FAKE_USED + 2), 0);
}

static void
control_alone(void **state)
{
	struct one *o = *state;
	struct virtio_scsi_ctrl_tmf_req t = { .lun = { 1, 0, 0x40 },
		.subtype = htole32(5) };

	fake_activate(&o->f, 0, 0);
	memcpy(mem(o, HDR), &t, sizeof(t));
	*mem(o, RESP) = 0xee;
	o->ndesc = 0;
	seg(o, HDR, sizeof(t), 0);
	seg(o, RESP, 1, F_WRITE);
	assert_int_equal(go(o, 0), 1);
	assert_int_equal(*mem(o, RESP), 0);
}

/* An abort is answered when the read before it has ended. */
static void
control_waits(void **state)
{
	struct one *o = *state;
	struct dev *d = &o->f.d;
	struct virtio_scsi_ctrl_tmf_req t = { .lun = { 1, 0, 0x40 } };
	struct dev_vq *ctl = &d->queues[0], *q = &d->queues[2];
	struct vq_conf c;
	uint64_t at = FAKE_MEM / 2; /* the second queue */
	struct test_desc rd = { at + 0x4000, sizeof(t), F_NEXT, 1 },
			 wr = { at + 0x5000, 1, F_WRITE, 0 };

	fake_activate(&o->f, 2, 0);
	c = q->vq.conf;
	c.desc += at;
	c.avail += at;
	c.used += at;
	c.inflight = NULL;
	ctl->dev = d;
	ctl->n = 0;
	assert_int_equal(vq_init(&ctl->vq, &c), 0);
	memcpy(mem(o, rd.addr), &t, sizeof(t));
	desc_put(&d->mem, c.desc, 0, &rd);
	desc_put(&d->mem, c.desc, 1, &wr);

	read10(o, 3, 1, 2048, 2048);
	close_chain(o);
	offer(&d->mem, &q->vq.conf, 0);
	assert_int_equal(vioscsi_ops.queue(d, q), 0);
	if (d->busy == 0) {
		skip(); /* it was read at once */
		return;
	}
	offer(&d->mem, &c, 0);
	assert_int_equal(vioscsi_ops.queue(d, ctl), 0);
	assert_int_equal(d->busy, 2);
	assert_int_equal(o->f.ended, 0);
	while (d->busy > 0)
		assert_int_not_equal(io_run(d->io, 1), -1);
	assert_int_equal(o->f.ended, 2);
	vq_publish(&ctl->vq);
	assert_int_equal(peek16(&d->mem, c.used + 2), 1);
	assert_int_equal(*mem(o, wr.addr), 0);
	assert_int_equal(mem(o, BUF)[0], 4);
}

/* --- a new process ------------------------------------------------------ */

#define TEST_UNIT_READY 0x00
#define START_STOP	0x1b
#define PREVENT		0x1e

/* A command without data: the sense key and its code, 0xKKAAQQ; 0: good. */
static uint32_t
cmd(struct one *o, uint8_t op, uint8_t arg)
{
	struct virtio_scsi_cmd_req h = { .lun = { 1, 0, 0x40 },
		.cdb = { op, 0, 0, 0, arg } };
	const uint8_t *s;

	memcpy(mem(o, HDR), &h, sizeof(h));
	memset(mem(o, RESP), 0xee, sizeof(struct virtio_scsi_cmd_resp));
	o->ndesc = 0;
	seg(o, HDR, sizeof(h), 0);
	seg(o, RESP, sizeof(struct virtio_scsi_cmd_resp), F_WRITE);
	go(o, 2);
	if (resp(o)->status == 0)
		return 0;
	s = resp(o)->sense;
	return (uint32_t)s[2] << 16 | (uint32_t)s[12] << 8 | s[13];
}

/* Its process dies; the next one has the same page, and the queues or not. */
static void
replace(struct one *o, int resumed)
{
	struct dev_page page = o->f.page;
	int fd = dup(o->fd);

	fake_close(&o->f);
	assert_int_equal(fake_open_again(&o->f, &vioscsi_ops, &fd, 1,
			     DISKF_READONLY, 0, &page),
	    0);
	o->f.d.resumed = resumed;
	o->seen = 0;
	fake_activate(&o->f, 2, 0);
}

static void
replaced(void **state)
{
	struct one *o = *state;

	fake_activate(&o->f, 2, 0);
	/* A new process is no news: only what it was is. */
	replace(o, 1);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0);
	assert_int_equal(cmd(o, PREVENT, 1), 0);
	replace(o, 1);
	assert_int_equal(cmd(o, START_STOP, 2), 0x055302);
	assert_int_equal(cmd(o, PREVENT, 0), 0);
	replace(o, 1);
	assert_int_equal(cmd(o, START_STOP, 2), 0);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x023a02);
	replace(o, 1);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x023a02);
	/* A medium came: told once, whoever tells it. */
	assert_int_equal(cmd(o, START_STOP, 3), 0);
	replace(o, 1);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x062800);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0);
	replace(o, 1);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0);
}

/* Dead before the answer was in the record: the next one says the same. */
static void
dies_answering(void **state)
{
	struct one *o = *state;

	fake_activate(&o->f, 2, 0);
	assert_int_equal(cmd(o, START_STOP, 2), 0);
	assert_int_equal(cmd(o, START_STOP, 3), 0);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x062800);
	o->f.page.state[0] = o->f.state_at_end;
	replace(o, 1);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x062800);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0);
	/* What it did is not undone either. */
	assert_int_equal(cmd(o, START_STOP, 2), 0);
	o->f.page.state[0] = o->f.state_at_end;
	replace(o, 1);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x023a02);
}

/* A reset by the guest unlocks the door, and closes nothing. */
static void
reset_unlocks(void **state)
{
	struct one *o = *state;

	fake_activate(&o->f, 2, 0);
	assert_int_equal(cmd(o, START_STOP, 2), 0);
	assert_int_equal(cmd(o, PREVENT, 1), 0);
	replace(o, 0);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x023a02);
	assert_int_equal(cmd(o, START_STOP, 3), 0);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x062800);
	assert_int_equal(cmd(o, START_STOP, 2), 0);
	/* Nonsense in the page is some state. */
	o->f.page.state[0] = UINT64_MAX;
	replace(o, 1);
	assert_int_equal(cmd(o, TEST_UNIT_READY, 0), 0x062800);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(config),
		T(reads),
		T(any_layout),
		T(shrunk),
		T(malformed),
		T(events_stay),
		T(control_alone),
		T(control_waits),
		T(replaced),
		T(dies_answering),
		T(reset_unlocks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vioscsi", tests, NULL, NULL);
}
