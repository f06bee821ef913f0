/*
 * Ring 3 and back, for test guests; see user.h.  Down by IRETQ, up by INT3:
 * of the ways there are these two work on every KVM.
 */
#include "guest.h"
#include "user.h"

#define KERNEL_CODE 0x00af9b000000ffffULL
#define KERNEL_DATA 0x00cf93000000ffffULL
#define USER_CODE   0x00affb000000ffffULL
#define USER_DATA   0x00cff3000000ffffULL
#define TSS_SEL	    40
#define GATE_USER   0xee
#define PTE_USER    4ULL
#define PTE_ADDR    0xffffffffff000ULL

struct tss {
	uint32_t reserved;
	uint64_t rsp0;
	uint8_t rest[92];
} __attribute__((packed));

struct gate {
	uint16_t off0, sel;
	uint8_t ist, type;
	uint16_t off1;
	uint32_t off2, zero;
};
extern struct gate idt[256];

static uint64_t gdt[7] __attribute__((aligned(16))) = { 0, KERNEL_CODE,
	KERNEL_DATA, USER_DATA, USER_CODE };
struct tss user_tss __attribute__((aligned(16)));
uint8_t user_stack[16384] __attribute__((aligned(16)));
void user_return(struct frame *f);

/* rsp0 is where the registers are that user_return() takes. */
__asm__("	.text\n"
	"	.globl	user_call, user_return\n"
	"user_call:\n"
	"	push	%rbx\n"
	"	push	%rbp\n"
	"	push	%r12\n"
	"	push	%r13\n"
	"	push	%r14\n"
	"	push	%r15\n"
	"	mov	%rsp, user_tss + 4\n"
	"	mov	%rdi, %rax\n"
	"	mov	%rsi, %rdi\n"
	"	mov	$user_stack + 16384, %ecx\n"
	"	push	$0x1b\n"
	"	push	%rcx\n"
	"	push	$0x3002\n"
	"	push	$0x23\n"
	"	mov	$1f, %ecx\n"
	"	push	%rcx\n"
	"	iretq\n"
	"1:	call	*%rax\n"
	"	int3\n"
	"user_return:\n"
	"	mov	user_tss + 4, %rsp\n"
	"	pop	%r15\n"
	"	pop	%r14\n"
	"	pop	%r13\n"
	"	pop	%r12\n"
	"	pop	%rbp\n"
	"	pop	%rbx\n"
	"	ret\n");

/* The tables of start.S: one of each level, and four of the last. */
static void
open_pages(void)
{
	uint64_t cr3, *pml4, *pdpt, *pd;
	unsigned int i, j;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	pml4 = (uint64_t *)(cr3 & PTE_ADDR);
	pdpt = (uint64_t *)(pml4[0] & PTE_ADDR);
	pml4[0] |= PTE_USER;
	for (i = 0; i < 4; i++) {
		pd = (uint64_t *)(pdpt[i] & PTE_ADDR);
		pdpt[i] |= PTE_USER;
		for (j = 0; j < 512; j++)
			pd[j] |= PTE_USER;
	}
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

void
user_init(void)
{
	uint64_t tss = (uint64_t)&user_tss;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr = { sizeof(gdt) - 1, (uint64_t)gdt };

	open_pages();
	gdt[5] = (sizeof(user_tss) - 1) | (tss & 0xffffff) << 16 |
	    0x89ULL << 40 | (tss >> 24 & 0xff) << 56;
	gdt[6] = tss >> 32;
	__asm__ volatile("lgdt %0; ltr %w1"
			 :
			 : "m"(gdtr), "r"(TSS_SEL)
			 : "memory");
	idt_set(3, user_return);
	idt[3].type = GATE_USER;
}
