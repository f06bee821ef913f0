/*
 * The parent and a vmm that is asked for the devices of running VMs: what it
 * says, says late, says wrong, or never says.
 */

#include <signal.h>

#include "lib/proto/devmsg.h"
#include "regress/unit/parent_fake.h"

#define LIST IMSG_VMDOP_GET_INFO_VM_REQUEST
#define DATA IMSG_VMDOP_GET_INFO_VM_DATA
#define END  IMSG_VMDOP_GET_INFO_VM_END_DATA
#define ASK  IMSG_VMDOP_DEVICES_REQUEST
#define SAY  IMSG_VMDOP_DEVICES_RESPONSE

/* Have a disk and a disc, as if it had been started with them. */
static struct vm *
with_devices(const char *name)
{
	struct vm *v;

	start_vm(name);
	v = vm_find(&parent, name);
	v->run->ndisks = 1;
	v->run->disks[0].path = strdup("/disk");
	v->run->cdrom = strdup("/cd");
	clear(&vmm);
	clear(&control);
	return v;
}

static void
say_list(uint64_t reqid, uint64_t reads)
{
	struct vmop_result ok = { 0 };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	struct dev_list l = { 0 };
	struct dev_stats *d = dev_list_add(&l, DEV_VIOBLK, 0);

	d->state = DEVST_RUNNING;
	d->replaced = 2;
	d->size = 4096;
	d->counted = 1;
	d->counts[DEVS_READS] = reads;
	assert_int_equal(vmop_result_put(b, &ok), 0);
	assert_int_equal(dev_list_put(b, &l), 0);
	send_body(&vmm, SAY, reqid, b, NULL, 0);
}

/* Two devices; `reads' of the first one, -1: nothing is known. */
static void
check_info(const struct vm_info *i, int64_t reads)
{
	const struct dev_stats *d = &i->devs.devs[0];

	assert_int_equal(i->has_devs, 1);
	assert_int_equal(i->devs.n, 2);
	assert_int_equal(d->kind, DEV_VIOBLK);
	assert_int_equal(d->counted, reads != -1);
	assert_int_equal(d->state, reads == -1 ? DEVST_UNKNOWN : DEVST_RUNNING);
	assert_int_equal(d->replaced, reads == -1 ? 0 : 2);
	assert_true(
	    d->counts[DEVS_READS] == (reads == -1 ? 0 : (uint64_t)reads));
	/* Nobody has said anything of this one. */
	assert_int_equal(i->devs.devs[1].kind, DEV_VIOSCSI);
	assert_int_equal(i->devs.devs[1].counted, 0);
}

static void
counted(void **state)
{
	with_devices("web1");
	send_id(LIST, 5, "web1", VMOP_DEVICES, 0);
	until_got(&vmm, ASK);
	settle_all();
	/* Only the answers to the questions of settle_all(). */
	assert_int_equal(control.got, 1);
	clear(&control);
	say_list(vmm.hdr.reqid, 77);
	until_got(&control, END);
	assert_int_equal(control.hdr.reqid, 5);
	assert_int_equal(control.res.err, VMERR_OK);
	assert_int_equal(control.got, 2);
	check_info(&control.info, 77);
	/* The same answer once more is for nobody. */
	say_list(vmm.hdr.reqid, 78);
	settle_all();
	assert_int_equal(vmm.closed, 0);
}

/* Those who do not ask for devices are not kept waiting, nor is vmm asked. */
static void
plain(void **state)
{
	with_devices("web1");
	send_id(LIST, 5, "", 0, 0);
	until_got(&control, END);
	assert_int_equal(control.info.has_devs, 0);
	assert_int_equal(vmm.got, 0);
}

/* A second, then the list without numbers; vmm is asked once. */
static void
mute(void **state)
{
	struct vm *v = with_devices("web1");
	int64_t begin = now_ms();

	send_id(LIST, 5, "", VMOP_DEVICES, 0);
	send_id(LIST, 6, "web1", VMOP_DEVICES, 0);
	until_got(&control, END);
	until(&control.got, 4);
	assert_true(now_ms() - begin >= 900);
	check_info(&control.info, -1);
	assert_int_equal(vmm.got, 1);
	assert_null(TAILQ_FIRST(&parent.listings));
	/* Too late for those, and not what a later one has asked for. */
	say_list(vmm.hdr.reqid, 77);
	settle_all();
	assert_true(v->counts_ms >= begin);
	v->counts_ms = begin;
	clear(&control);
	clear(&vmm);
	send_id(LIST, 7, "web1", VMOP_DEVICES, 0);
	until_got(&vmm, ASK);
	until_got(&control, END);
	check_info(&control.info, -1);
}

/* vmm says at once that there are none: nobody waits. */
static void
refused(void **state)
{
	const struct vmop_result no = { .err = VMERR_TIMEOUT };
	int64_t begin = now_ms();

	with_devices("web1");
	send_id(LIST, 5, "web1", VMOP_DEVICES, 0);
	until_got(&vmm, ASK);
	send_result(SAY, vmm.hdr.reqid, &no);
	until_got(&control, END);
	assert_int_equal(control.res.err, VMERR_OK);
	check_info(&control.info, -1);
	assert_true(now_ms() - begin < 900);
}

/* Two VMs: the numbers of the one that answers are there. */
static void
one_of_two(void **state)
{
	struct vm *a, *b;

	conf_apply(&parent, conf_of("a", "b", NULL));
	a = with_devices("a");
	b = with_devices("b");
	send_id(LIST, 5, "", VMOP_DEVICES, 0);
	until(&vmm.got, 2);
	say_list(a->counting, 11);
	until_got(&control, END);
	assert_true(a->counts_generation == a->generation);
	assert_int_equal(b->counts_generation, 0);
	assert_non_null(request_find(&parent, b->counting));
	assert_null(request_find(&parent, a->counting));
}

/* The client is gone before the numbers come. */
static void
gone(void **state)
{
	with_devices("web1");
	send_id(LIST, 5, "", VMOP_DEVICES, 0);
	until_got(&vmm, ASK);
	send_body(&control, IMSG_CTL_CONN_CLOSE, 0, NULL, NULL, 0);
	say_list(vmm.hdr.reqid, 1);
	clear(&control);
	send_id(LIST, 6, "none", 0, 0);
	until_got(&control, END);
	assert_int_equal(control.hdr.reqid, 6);
	assert_null(TAILQ_FIRST(&parent.listings));
}

/* vmm dies instead of answering. */
static void
vmm_dies(void **state)
{
	with_devices("web1");
	send_id(LIST, 5, "web1", VMOP_DEVICES, 0);
	until_got(&vmm, ASK);
	kill(vmm.pid, SIGKILL);
	until_got(&control, END);
	assert_int_equal(control.hdr.reqid, 5);
	assert_int_equal(control.res.err, VMERR_OK);
	assert_int_equal(control.info.has_devs, 0);
	until_restarted(&vmm, 2);
}

/* A list that is none: vmm has lost its mind. */
static void
nonsense(void **state)
{
	const struct vmop_result ok = { 0 };

	with_devices("web1");
	send_id(LIST, 5, "web1", VMOP_DEVICES, 0);
	until_got(&vmm, ASK);
	send_result(SAY, vmm.hdr.reqid, &ok);
	until(&vmm.closed, 1);
	until_got(&control, END);
	assert_int_equal(control.hdr.reqid, 5);
	until_restarted(&vmm, 2);
}

/* Who may not operate a VM causes no questions about it. */
static void
stranger(void **state)
{
	struct vm *v = with_devices("web1");
	struct conn *c = TAILQ_FIRST(&parent.conns);

	v->spec->uid = 1000;
	c->cred->uid = 1001;
	send_id(LIST, 5, "", VMOP_DEVICES, 0);
	until_got(&control, END);
	assert_int_equal(control.info.has_devs, 0);
	assert_int_equal(vmm.got, 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(counted),
		T(plain),
		T(mute),
		T(refused),
		T(one_of_two),
		T(gone),
		T(vmm_dies),
		T(nonsense),
		T(stranger),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
