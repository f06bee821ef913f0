/* ACPI tables: sums, lengths, contents, and what iasl makes of them. */

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "regress/unit/boot_test.h"

static uint8_t
sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len-- > 0)
		s += *p++;
	return s;
}

/* A table at `gpa': signature and sum are right. */
static uint8_t *
table(uint64_t gpa, const char *sig)
{
	uint8_t *p = at(gpa);

	assert_memory_equal(p, sig, 4);
	assert_in_range(le(p + 4, 4), 36, 0x4000);
	assert_non_null(gmem_ptr(&mem, gpa, le(p + 4, 4)));
	assert_int_equal(sum(p, le(p + 4, 4)), 0);
	return p;
}

static void
roots(void **state)
{
	const uint8_t *p;

	assert_int_equal(acpi_tables(&mem, 1), 0xe0000);
	p = at(0xe0000);
	assert_memory_equal(p, "RSD PTR ", 8);
	assert_int_equal(sum(p, 20), 0);
	assert_int_equal(sum(p, 36), 0);
	assert_int_equal(p[15], 2);
	assert_int_equal(le(p + 20, 4), 36);
	p = table(le(p + 24, 8), "XSDT");
	assert_int_equal(le(p + 4, 4), 36 + 2 * 8);
	(void)table(le(p + 36, 8), "FACP");
	(void)table(le(p + 44, 8), "APIC");
}

static void
fixed(void **state)
{
	const uint8_t *p;

	assert_int_equal(acpi_tables(&mem, 2), 0xe0000);
	p = table(0xe0100, "FACP");
	assert_int_equal(le(p + 4, 4), 276);
	assert_int_equal(p[8], 6);
	assert_int_equal(p[131], 5);
	assert_int_equal(le(p + 46, 2), 9);
	assert_int_equal(le(p + 48, 4), 0); /* no SMI */
	assert_int_equal(le(p + 56, 4), 0x600);
	assert_int_equal(le(p + 64, 4), 0x604);
	assert_int_equal(le(p + 76, 4), 0x608);
	assert_int_equal(p[88], 4);
	assert_int_equal(p[89], 2);
	assert_int_equal(p[91], 4);
	assert_int_equal(p[108], 0x32);
	assert_int_equal(le(p + 109, 2), 0x05);
	/* Reset register; power button fixed; not reduced hardware. */
	assert_int_equal(le(p + 112, 4), 0x565);
	assert_int_equal(le(p + 112, 4) & (1U << 4 | 1U << 20), 0);
	assert_int_equal(p[116], 1);
	assert_int_equal(p[117], 8);
	assert_int_equal(le(p + 120, 8), 0xcf9);
	assert_int_equal(p[128], 6);
	assert_int_equal(le(p + 152, 8), 0x600);
	assert_int_equal(le(p + 176, 8), 0x604);
	assert_int_equal(le(p + 212, 8), 0x608);
	(void)table(le(p + 40, 4), "DSDT");
	assert_true(le(p + 140, 8) == le(p + 40, 4));
	assert_int_equal(le(p + 36, 4) % 64, 0);
	p = at(le(p + 36, 4));
	assert_memory_equal(p, "FACS", 4);
	assert_int_equal(le(p + 4, 4), 64);
}

static void
check_madt(unsigned int n)
{
	static const uint8_t tail[] = {
		1,
		12,
		0,
		0,
		0x00,
		0x00,
		0xc0,
		0xfe,
		0,
		0,
		0,
		0,
		2,
		10,
		0,
		0,
		2,
		0,
		0,
		0,
		0x05,
		0,
		2,
		10,
		0,
		9,
		9,
		0,
		0,
		0,
		0x0d,
		0,
		4,
		6,
		0xff,
		0,
		0,
		1,
	};
	const uint8_t *p = table(0xe0400, "APIC"), *e = p + 44;
	unsigned int i;

	assert_int_equal(le(p + 4, 4), 44 + 8 * n + sizeof(tail));
	assert_true(le(p + 36, 4) == 0xfee00000);
	assert_int_equal(le(p + 40, 4), 1);
	for (i = 0; i < n; i++, e += 8) {
		assert_int_equal(le(e, 2), 0x0800);
		assert_int_equal(e[2], i);
		assert_int_equal(e[3], i);
		assert_int_equal(le(e + 4, 4), 1);
	}
	assert_memory_equal(e, tail, sizeof(tail));
}

static void
processors(void **state)
{
	unsigned int n;

	for (n = 1; n <= 64; n++) {
		assert_int_equal(acpi_tables(&mem, n), 0xe0000);
		check_madt(n);
		(void)table(0xe0800, "DSDT");
	}
	assert_int_equal(acpi_tables(&mem, 0), 0);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(acpi_tables(&mem, 65), 0);
}

static void
no_memory(void **state)
{
	struct gmem none = { .fd = -1 };

	assert_int_equal(acpi_tables(&none, 1), 0);
	assert_int_equal(errno, EFAULT);
}

/* --- the disassembler, if there is one -------------------------------- */

static void
dump(const char *dir, const char *name, const uint8_t *p)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_non_null(f = fopen(path, "w"));
	assert_int_equal(fwrite(p, 1, le(p + 4, 4), f), le(p + 4, 4));
	assert_int_equal(fclose(f), 0);
}

/* Run iasl in `dir'; its output is in `out', cut to `len'. */
static int
iasl(const char *dir, const char *args, char *out, size_t len)
{
	char cmd[512];
	FILE *f;
	size_t n;

	snprintf(cmd, sizeof(cmd), "cd %s && iasl %s 2>&1", dir, args);
	assert_non_null(f = popen(cmd, "r"));
	n = fread(out, 1, len - 1, f);
	out[n] = '\0';
	return pclose(f);
}

static void
slurp(const char *dir, const char *name, char *buf, size_t len)
{
	char path[256];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_non_null(f = fopen(path, "r"));
	n = fread(buf, 1, len - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static void
remove_dir(const char *dir)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	assert_int_equal(system(cmd), 0);
}

static void
disassembles(void **state)
{
	static const char *const words[] = { "_S5", "EisaId (\"PNP0A03\")",
		"EisaId (\"PNP0501\")", "EisaId (\"PNP0B00\")", "Device (CP3F)",
		"\"ACPI0007\"", "WordBusNumber (", "0x03F8,", "0xF0000000,",
		"0xFEBFFFFF," };
	static char out[1 << 18];
	char dir[] = "/tmp/acpi_test.XXXXXX";
	unsigned int i;

	if (system("command -v iasl >/dev/null 2>&1") != 0) {
		print_message("# no iasl (package acpica-tools)\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	assert_int_equal(acpi_tables(&mem, 64), 0xe0000);
	dump(dir, "dsdt.dat", table(0xe0800, "DSDT"));
	dump(dir, "facp.dat", table(0xe0100, "FACP"));
	dump(dir, "apic.dat", table(0xe0400, "APIC"));
	assert_int_equal(iasl(dir, "-d dsdt.dat facp.dat apic.dat", out,
			     sizeof(out)),
	    0);
	assert_null(strstr(out, "Error"));
	assert_null(strstr(out, "Warning"));
	slurp(dir, "dsdt.dsl", out, sizeof(out));
	for (i = 0; i < NELEM(words); i++)
		assert_non_null(strstr(out, words[i]));
	/* And back again, to the same length or less. */
	assert_int_equal(iasl(dir, "-p again dsdt.dsl", out, sizeof(out)), 0);
	assert_non_null(strstr(out, " 0 Errors, 0 Warnings"));
	slurp(dir, "facp.dsl", out, sizeof(out));
	assert_null(strstr(out, "Invalid"));
	remove_dir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(roots), T(fixed), T(processors),
		T(no_memory), T(disassembles) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
