/*
 * Names for instructions that KVM's emulator does not know, so that the
 * sentence about a failed guest says "xrstor" and not only bytes.  Not a
 * disassembler: prefixes are skipped, opcodes are looked up.
 * Intel SDM, volume 2.
 */
#include "lib/vmm/vmm_int.h"

/* Prefix a row asks for; PFX_ANY matches every one. */
enum pfx {
	PFX_ANY,
	PFX_NONE,
	PFX_66,
	PFX_F2,
	PFX_F3
};

#define ANYREG -1
/* What ModRM's mod has to be. */
enum mod {
	MOD_ANY,
	MOD_MEM,
	MOD_REG
};

struct insn {
	uint8_t map; /* 0: one byte, 1: 0f, 2: 0f 38, 3: 0f 3a */
	uint8_t op;
	enum pfx pfx;
	int reg; /* ModRM.reg */
	enum mod mod;
	int rm; /* ModRM.rm */
	const char *name;
};

/* clang-format off */
static const struct insn insns[] = {
	{ 0, 0xcc, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "int3" },
	{ 0, 0xcd, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "int" },
	{ 0, 0xf1, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "int1" },
	{ 0, 0xcf, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "iret" },
	{ 0, 0xc8, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "enter" },
	{ 0, 0x9b, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "fwait" },
	{ 1, 0x00, PFX_ANY, 4, MOD_ANY, ANYREG, "verr" },
	{ 1, 0x00, PFX_ANY, 5, MOD_ANY, ANYREG, "verw" },
	{ 1, 0x01, PFX_NONE, 0, MOD_REG, 1, "vmcall" },
	{ 1, 0x01, PFX_ANY, 1, MOD_REG, 0, "monitor" },
	{ 1, 0x01, PFX_ANY, 1, MOD_REG, 1, "mwait" },
	{ 1, 0x01, PFX_ANY, 1, MOD_REG, 2, "clac" },
	{ 1, 0x01, PFX_ANY, 1, MOD_REG, 3, "stac" },
	{ 1, 0x01, PFX_ANY, 2, MOD_REG, 0, "xgetbv" },
	{ 1, 0x01, PFX_ANY, 2, MOD_REG, 1, "xsetbv" },
	{ 1, 0x01, PFX_ANY, 3, MOD_REG, 1, "vmmcall" },
	{ 1, 0x01, PFX_ANY, 7, MOD_REG, 1, "rdtscp" },
	{ 1, 0x02, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "lar" },
	{ 1, 0x03, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "lsl" },
	{ 1, 0x05, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "syscall" },
	{ 1, 0x07, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "sysret" },
	{ 1, 0x1e, PFX_F3, 1, MOD_REG, ANYREG, "rdssp" },
	{ 1, 0x34, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "sysenter" },
	{ 1, 0x35, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "sysexit" },
	{ 1, 0x78, PFX_NONE, ANYREG, MOD_ANY, ANYREG, "vmread" },
	{ 1, 0x79, PFX_NONE, ANYREG, MOD_ANY, ANYREG, "vmwrite" },
	{ 1, 0x77, PFX_ANY, ANYREG, MOD_ANY, ANYREG, "emms" },
	{ 1, 0xae, PFX_NONE, 2, MOD_MEM, ANYREG, "ldmxcsr" },
	{ 1, 0xae, PFX_NONE, 3, MOD_MEM, ANYREG, "stmxcsr" },
	{ 1, 0xae, PFX_NONE, 4, MOD_MEM, ANYREG, "xsave" },
	{ 1, 0xae, PFX_NONE, 5, MOD_MEM, ANYREG, "xrstor" },
	{ 1, 0xae, PFX_NONE, 6, MOD_MEM, ANYREG, "xsaveopt" },
	{ 1, 0xae, PFX_66, 6, MOD_MEM, ANYREG, "clwb" },
	{ 1, 0xb8, PFX_F3, ANYREG, MOD_ANY, ANYREG, "popcnt" },
	{ 1, 0xc7, PFX_ANY, 1, MOD_MEM, ANYREG, "cmpxchg16b" },
	{ 1, 0xc7, PFX_ANY, 3, MOD_MEM, ANYREG, "xrstors" },
	{ 1, 0xc7, PFX_ANY, 4, MOD_MEM, ANYREG, "xsavec" },
	{ 1, 0xc7, PFX_ANY, 5, MOD_MEM, ANYREG, "xsaves" },
	{ 1, 0xc7, PFX_F3, 7, MOD_REG, ANYREG, "rdpid" },
	{ 2, 0x82, PFX_66, ANYREG, MOD_MEM, ANYREG, "invpcid" },
	{ 2, 0xf0, PFX_F2, ANYREG, MOD_ANY, ANYREG, "crc32" },
	{ 2, 0xf1, PFX_F2, ANYREG, MOD_ANY, ANYREG, "crc32" },
	{ 2, 0xf6, PFX_66, ANYREG, MOD_ANY, ANYREG, "adcx" },
	{ 2, 0xf6, PFX_F3, ANYREG, MOD_ANY, ANYREG, "adox" },
	{ 2, 0xf9, PFX_NONE, ANYREG, MOD_MEM, ANYREG, "movdiri" },
	{ 2, 0xf8, PFX_66, ANYREG, MOD_MEM, ANYREG, "movdir64b" },
};
/* clang-format on */

struct scan {
	uint8_t map, op, modrm;
	int have_modrm;
	enum pfx pfx;
};

/* Skip prefixes and REX.  0, or -1 if the bytes end before the opcode. */
static int
scan(const uint8_t *b, size_t len, unsigned int mode, struct scan *s)
{
	size_t i;

	s->pfx = PFX_NONE;
	for (i = 0; i < len; i++) {
		if (b[i] == 0xf2)
			s->pfx = PFX_F2;
		else if (b[i] == 0xf3)
			s->pfx = PFX_F3;
		else if (b[i] == 0x66 && s->pfx == PFX_NONE)
			s->pfx = PFX_66;
		else if (b[i] != 0x66 && b[i] != 0x67 && b[i] != 0xf0 &&
		    b[i] != 0x2e && b[i] != 0x36 && b[i] != 0x3e &&
		    b[i] != 0x26 && b[i] != 0x64 && b[i] != 0x65 &&
		    !(mode == 64 && (b[i] & 0xf0) == 0x40))
			break;
	}
	s->map = 0;
	if (i < len && b[i] == 0x0f) {
		s->map = 1;
		i++;
		if (i < len && (b[i] == 0x38 || b[i] == 0x3a)) {
			s->map = b[i] == 0x38 ? 2 : 3;
			i++;
		}
	}
	if (i >= len)
		return -1;
	s->op = b[i++];
	s->have_modrm = i < len;
	s->modrm = s->have_modrm ? b[i] : 0;
	return 0;
}

static int
matches(const struct insn *r, const struct scan *s)
{
	int mod = s->modrm >> 6, reg = s->modrm >> 3 & 7, rm = s->modrm & 7;

	if (r->map != s->map || r->op != s->op)
		return 0;
	if (r->pfx != PFX_ANY && r->pfx != s->pfx)
		return 0;
	if (r->reg == ANYREG && r->mod == MOD_ANY && r->rm == ANYREG)
		return 1;
	if (!s->have_modrm)
		return 0;
	return (r->reg == ANYREG || r->reg == reg) &&
	    (r->mod == MOD_ANY || (r->mod == MOD_REG) == (mod == 3)) &&
	    (r->rm == ANYREG || r->rm == rm);
}

/* Whole families, when no row fits. */
static const char *
family(const struct scan *s, unsigned int mode)
{
	if (s->map == 0 && s->op >= 0xd8 && s->op <= 0xdf)
		return "an x87 instruction";
	if (s->map == 0 && s->op == 0x62 && mode == 64)
		return "an AVX-512 instruction";
	if (s->map == 0 && (s->op == 0xc4 || s->op == 0xc5) &&
	    (mode == 64 || s->modrm >> 6 == 3))
		return "an AVX or BMI instruction";
	if (s->map == 2 || s->map == 3)
		return "an SSE instruction";
	if (s->map == 1 &&
	    ((s->op >= 0x10 && s->op <= 0x17) ||
		(s->op >= 0x28 && s->op <= 0x2f) ||
		(s->op >= 0x50 && s->op <= 0x7f) || s->op == 0xc2 ||
		(s->op >= 0xc4 && s->op <= 0xc6) || s->op >= 0xd0))
		return "an SSE or MMX instruction";
	return NULL;
}

const char *
vmm_insn_name(const uint8_t *b, size_t len, unsigned int mode)
{
	struct scan s;
	size_t i;

	if (scan(b, len, mode, &s) == -1)
		return NULL;
	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
		if (matches(&insns[i], &s))
			return insns[i].name;
	return family(&s, mode);
}
