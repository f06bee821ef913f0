/* Guest memory that is in use becomes huge pages, and nothing else does. */

#include "regress/unit/proto_test.h"

#include <sys/mman.h>
#include <event2/event.h>

#include "lib/util/gmem.h"
#include "vmd/vm/huge.h"

#define PAGE  4096
#define PARTS 12

static struct gmem mem;

static int
setup(void **state)
{
	memset(&mem, 0, sizeof(mem));
	mem.fd = -1;
	if (gmem_add(&mem, 0, PARTS * GMEM_HUGE + PAGE, GMEM_RAM) == -1)
		return -1;
	return gmem_create(&mem);
}

static int
teardown(void **state)
{
	gmem_fini(&mem);
	return 0;
}

/* Use `n' pages of a part, not side by side. */
static void
use(unsigned int part, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		mem.base[part * GMEM_HUGE + (i * 7 % 512) * PAGE] = (uint8_t)i;
}

/* Pages of a part that are there. */
static unsigned int
there(unsigned int part)
{
	unsigned char in[512];
	unsigned int i, n = 0;

	assert_int_equal(mincore(mem.base + part * GMEM_HUGE, GMEM_HUGE, in),
	    0);
	for (i = 0; i < 512; i++)
		n += in[i] & 1;
	return n;
}

/* KiB that the kernel has mapped by huge pages. */
static unsigned long
huge(void)
{
	char line[256];
	unsigned long kb, sum = 0;
	FILE *f = fopen("/proc/self/smaps", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "ShmemPmdMapped: %lu", &kb) == 1)
			sum += kb;
	fclose(f);
	return sum;
}

static void
in_use(void **state)
{
	struct huge *h = huge_new(NULL, &mem);
	unsigned int i, made = 0;
	int n;

	assert_non_null(h);
	for (i = 0; i < PARTS - 2; i++)
		use(i, 130);
	use(PARTS - 2, 100);
	for (i = 0; i < 20; i++) {
		if ((n = huge_look(h)) == -1) {
			huge_free(h);
			skip();
		}
		assert_true(n <= 4);
		made += (unsigned int)n;
	}
	assert_int_equal(made, PARTS - 2);
	assert_int_equal(huge(), (PARTS - 2) * GMEM_HUGE / 1024);
	for (i = 0; i < PARTS - 2; i++)
		assert_int_equal(there(i), 512);
	assert_int_equal(there(PARTS - 2), 100);
	assert_int_equal(there(PARTS - 1), 0);
	/* It is the same memory. */
	for (i = 0; i < 130; i++)
		assert_int_equal(mem.base[(i * 7 % 512) * PAGE], i);
	/* What is used later is found later. */
	use(PARTS - 2, 200);
	assert_int_equal(huge_look(h), 1);
	assert_int_equal(huge_look(h), 0);
	huge_free(h);
}

static void
by_itself(void **state)
{
	struct event_base *base = event_base_new();
	struct huge *h;
	unsigned int i;

	assert_non_null(base);
	assert_non_null(h = huge_new(base, &mem));
	use(3, 512);
	use(9, 512);
	/* It may find that there are none: then there is no event left. */
	for (i = 0; i < 30 && huge() < 4096; i++)
		if (event_base_loop(base, EVLOOP_ONCE) == 1)
			break;
	i = (unsigned int)event_base_get_num_events(base,
	    EVENT_BASE_COUNT_ADDED);
	huge_free(h);
	event_base_free(base);
	if (i == 0)
		skip(); /* this kernel makes none */
	assert_int_equal(huge(), 4096);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(by_itself, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
