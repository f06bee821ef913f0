/* Configuration space: every function, register and width. */

#include <errno.h>

#include "regress/unit/dev_test.h"
#include "vmd/vm/pci.h"

#define ENABLE 0x80000000U

static struct fake f;
static struct pci *pci;

static int
setup(void **state)
{
	fake_init(&f);
	pci = pci_new(f.b, &f.m);
	return pci == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	pci_free(pci);
	bus_free(f.b);
	return 0;
}

static void
address(unsigned int slot, unsigned int func, unsigned int reg)
{
	bus_write(f.b, 0xcf8, 4,
	    ENABLE | slot << 11 | func << 8 | (reg & 0xfc));
}

static uint32_t
get(unsigned int slot, unsigned int func, unsigned int reg, unsigned int size)
{
	address(slot, func, reg);
	return bus_read(f.b, (uint16_t)(0xcfc + (reg & 3)), size);
}

static void
set(unsigned int slot, unsigned int func, unsigned int reg, unsigned int size,
    uint32_t v)
{
	address(slot, func, reg);
	bus_write(f.b, (uint16_t)(0xcfc + (reg & 3)), size, v);
}

static void
bridge(void **state)
{
	assert_int_equal(get(0, 0, 0x00, 4), 0x12378086);
	assert_int_equal(get(0, 0, 0x04, 4), 0x02800006);
	assert_int_equal(get(0, 0, 0x08, 4), 0x06000002);
	assert_int_equal(get(0, 0, 0x0c, 4), 0);
	assert_int_equal(get(0, 0, 0x2c, 4), 0x11001af4);
	assert_int_equal(get(0, 0, 0x3c, 4), 0);
}

/* What is not there reads as ones and swallows writes, at every width. */
static void
absent(void **state)
{
	unsigned int slot, func, reg, bus;

	for (slot = 0; slot < 32; slot++)
		for (func = slot == 0; func < 8; func++)
			for (reg = 0; reg < 256; reg += 4) {
				set(slot, func, reg, 4, 0x12345678);
				assert_int_equal(get(slot, func, reg, 4),
				    UINT32_MAX);
				assert_int_equal(get(slot, func, reg + 1, 1),
				    0xff);
				assert_int_equal(get(slot, func, reg + 2, 2),
				    0xffff);
			}
	for (bus = 1; bus < 256; bus++) {
		bus_write(f.b, 0xcf8, 4, ENABLE | bus << 16);
		assert_int_equal(bus_read(f.b, 0xcfc, 4), UINT32_MAX);
	}
	/* Not enabled. */
	bus_write(f.b, 0xcf8, 4, 0);
	assert_int_equal(bus_read(f.b, 0xcfc, 4), UINT32_MAX);
	assert_int_equal(bus_read(f.b, 0xcf8, 4), 0);
}

/* The address register takes 32 bits or nothing. */
static void
address_port(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4 };
	unsigned int p, s;

	bus_write(f.b, 0xcf8, 4, UINT32_MAX);
	assert_int_equal(bus_read(f.b, 0xcf8, 4), 0x80fffffc);
	for (p = 0xcf8; p < 0xcfc; p++)
		for (s = 0; s < NELEM(sizes); s++) {
			if (p == 0xcf8 && sizes[s] == 4)
				continue;
			bus_write(f.b, (uint16_t)p, sizes[s], 0);
			assert_int_equal(bus_read(f.b, 0xcf8, 4), 0x80fffffc);
			if (p != 0xcf9 || sizes[s] != 1)
				assert_int_equal(bus_read(f.b, (uint16_t)p,
						     sizes[s]),
				    sizes[s] == 4 ? UINT32_MAX :
						    (1U << 8 * sizes[s]) - 1);
		}
	assert_int_equal(f.resets, 0);
}

static void
reset_port(void **state)
{
	unsigned int v;

	for (v = 0; v < 256; v++) {
		f.resets = 0;
		OUT(&f, 0xcf9, v);
		assert_int_equal(f.resets, (v >> 2) & 1);
		assert_int_equal(IN(&f, 0xcf9), v & 2);
		bus_write(f.b, 0xcf9, 2, v);
		assert_int_equal(f.resets, (v >> 2) & 1);
		bus_write(f.b, 0xcf8, 2, v << 8);
		assert_int_equal(f.resets, (v >> 2) & 1);
	}
	assert_string_equal(f.source, "port 0xcf9");
}

/* All registers of the bridge, all widths: only what may change does. */
static void
masks(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4 };
	uint8_t before[256], after;
	unsigned int reg, s, i, want;

	for (i = 0; i < 256; i++)
		before[i] = (uint8_t)get(0, 0, i, 1);
	for (s = 0; s < NELEM(sizes); s++)
		for (reg = 0; reg < 256; reg += sizes[s]) {
			set(0, 0, reg, sizes[s], UINT32_MAX);
			for (i = reg; i < reg + sizes[s]; i++) {
				after = (uint8_t)get(0, 0, i, 1);
				want = before[i];
				if (i == 4)
					want |= 0x40;
				if (i == 5)
					want |= 0x01;
				if (i >= 0x59 && i <= 0x5f)
					want |= 0x33;
				assert_int_equal(after, want);
			}
			set(0, 0, reg, sizes[s], 0);
		}
	/* A word in the middle of a register. */
	address(0, 0, 0x58);
	bus_write(f.b, 0xcfd, 2, 0x2211);
	assert_int_equal(bus_read(f.b, 0xcfc, 4), 0x00221100);
	assert_int_equal(bus_read(f.b, 0xcfd, 2), 0x2211);
	/* Beyond the ports: what is inside is seen, the rest is ones. */
	assert_int_equal(bus_read(f.b, 0xcfe, 4), 0xffff0022);
}

static const struct pci_ids ids = { 0x1af4, 0x1042, 0x1af4, 0x1100, 1,
	0x018000 };
static unsigned int nwrites, last_off, last_size;

static void
written(void *arg, unsigned int off, unsigned int size)
{
	assert_ptr_equal(arg, &nwrites);
	nwrites++;
	last_off = off;
	last_size = size;
}

static void
functions(void **state)
{
	struct pci_func *a, *b;

	assert_non_null(b = pci_add(pci, 4, 7, &ids));
	assert_int_equal(get(4, 7, 0x0c, 4), 0);
	assert_non_null(a = pci_add(pci, 4, 0, &ids));
	assert_int_equal(get(4, 0, 0x00, 4), 0x10421af4);
	assert_int_equal(get(4, 0, 0x08, 4), 0x01800001);
	assert_int_equal(get(4, 0, 0x0e, 1), 0x80);
	assert_int_equal(get(4, 7, 0x0e, 1), 0x00);
	assert_null(pci_add(pci, 4, 0, &ids));
	assert_int_equal(errno, EEXIST);
	assert_null(pci_add(pci, 32, 0, &ids));
	assert_int_equal(errno, EINVAL);
	assert_null(pci_add(pci, 1, 8, &ids));
	set(4, 0, 0x04, 4, UINT32_MAX);
	assert_int_equal(get(4, 0, 0x04, 4), 0x00000407);
	set(4, 0, 0x3c, 1, 11);
	assert_int_equal(get(4, 0, 0x3c, 1), 11);
	pci_on_write(b, written, &nwrites);
	set(4, 7, 0x06, 2, 1);
	assert_int_equal(nwrites, 1);
	assert_int_equal(last_off, 6);
	assert_int_equal(last_size, 2);
	pci_set(a, 0x3d, 1, 1);
	assert_int_equal(get(4, 0, 0x3c, 2), 0x010b);
	assert_int_equal(pci_get(a, 0x3c, 2), 0x010b);
}

static void
bars(void **state)
{
	struct pci_func *a = pci_add(pci, 5, 0, &ids);
	uint32_t size;

	assert_non_null(a);
	assert_int_equal(pci_bar(a, 0, 0x4000, PCI_BAR_MEM64), 0);
	assert_int_equal(pci_bar(a, 1, 0x1000, PCI_BAR_MEM32), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(pci_bar(a, 2, 0x1000, PCI_BAR_MEM32), 0);
	assert_int_equal(pci_bar(a, 3, 32, PCI_BAR_IO), 0);
	assert_int_equal(pci_bar(a, 5, 0x1000, PCI_BAR_MEM64), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(pci_bar(a, 4, 0x1001, PCI_BAR_MEM32), -1);
	assert_int_equal(pci_bar(a, 4, 8, PCI_BAR_MEM32), -1);
	assert_int_equal(pci_bar(a, 4, 512, PCI_BAR_IO), -1);
	for (size = 0; size < 3; size++)
		assert_true(
		    pci_bar_addr(a, size == 0 ? 0 : size + 1) == UINT64_MAX);
	set(5, 0, 0x10, 4, UINT32_MAX);
	set(5, 0, 0x14, 4, UINT32_MAX);
	assert_int_equal(get(5, 0, 0x10, 4), 0xffffc004);
	assert_int_equal(get(5, 0, 0x14, 4), 0xffffffff);
	set(5, 0, 0x18, 4, UINT32_MAX);
	assert_int_equal(get(5, 0, 0x18, 4), 0xfffff000);
	set(5, 0, 0x1c, 4, UINT32_MAX);
	assert_int_equal(get(5, 0, 0x1c, 4), 0xffffffe1);
	set(5, 0, 0x20, 4, UINT32_MAX);
	assert_int_equal(get(5, 0, 0x20, 4), 0);
	set(5, 0, 0x10, 4, 0x12345678);
	set(5, 0, 0x14, 4, 0x9);
	set(5, 0, 0x18, 4, 0xf0001234);
	set(5, 0, 0x1c, 4, 0xc031);
	set(5, 0, 0x04, 2, 2);
	assert_true(pci_bar_addr(a, 0) == 0x912344000);
	assert_true(pci_bar_addr(a, 2) == 0xf0001000);
	assert_true(pci_bar_addr(a, 3) == UINT64_MAX);
	set(5, 0, 0x04, 2, 1);
	assert_true(pci_bar_addr(a, 0) == UINT64_MAX);
	assert_true(pci_bar_addr(a, 3) == 0xc020);
}

static void
caps(void **state)
{
	static const uint8_t body[] = { 0x34, 0x12, 0x56 };
	static const uint8_t mask[] = { 0x0f, 0x00, 0xff };
	struct pci_func *a = pci_add(pci, 6, 0, &ids);
	unsigned int n = 0;

	assert_non_null(a);
	assert_int_equal(get(6, 0, 0x34, 1), 0);
	assert_int_equal(pci_cap(a, 0x11, body, mask, 3), 0x40);
	assert_int_equal(pci_cap(a, 0x09, body, NULL, 3), 0x48);
	assert_int_equal(get(6, 0, 0x06, 2), 0x10);
	assert_int_equal(get(6, 0, 0x34, 1), 0x40);
	assert_int_equal(get(6, 0, 0x40, 4), 0x12344811);
	assert_int_equal(get(6, 0, 0x44, 4), 0x56);
	assert_int_equal(get(6, 0, 0x48, 4), 0x12340009);
	set(6, 0, 0x40, 4, UINT32_MAX);
	assert_int_equal(get(6, 0, 0x40, 4), 0x123f4811);
	set(6, 0, 0x48, 4, UINT32_MAX);
	assert_int_equal(get(6, 0, 0x48, 4), 0x12340009);
	while (pci_cap(a, 0x09, body, NULL, 3) != 0)
		n++;
	assert_int_equal(n, (256 - 0x50) / 8);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(pci_cap(a, 0x09, body, NULL, SIZE_MAX), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bridge, setup, teardown),
		cmocka_unit_test_setup_teardown(absent, setup, teardown),
		cmocka_unit_test_setup_teardown(address_port, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_port, setup, teardown),
		cmocka_unit_test_setup_teardown(masks, setup, teardown),
		cmocka_unit_test_setup_teardown(functions, setup, teardown),
		cmocka_unit_test_setup_teardown(bars, setup, teardown),
		cmocka_unit_test_setup_teardown(caps, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
