/*
 * PVH entry: 32-bit protected mode without paging, %ebx is the start info.
 * From there to 64-bit mode with the first 4 GiB mapped, and guest_main().
 */
	.section .note.pvh, "a", @note
	.balign	4
	.long	4, 4, 18	/* name, descriptor, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start

	.text
	.code32
	.globl	start
start:
	cld
	mov	$stack_top, %esp
	mov	%ebx, %ebp

	/* Four page directories of 2 MiB pages, for ring 3 too. */
	mov	$pd, %edi
	mov	$0x87, %eax
	mov	$2048, %ecx
1:	mov	%eax, (%edi)
	movl	$0, 4(%edi)
	add	$0x200000, %eax
	add	$8, %edi
	dec	%ecx
	jnz	1b
	mov	$pd + 7, %eax
	mov	$pdpt, %edi
	mov	$4, %ecx
2:	mov	%eax, (%edi)
	add	$0x1000, %eax
	add	$8, %edi
	dec	%ecx
	jnz	2b
	movl	$pdpt + 7, pml4

	call	long_mode
	ljmp	$8, $start64

/* For the other processors too: needs a stack, changes no %ebp. */
	.globl	long_mode
long_mode:
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000001, %eax
	mov	%eax, %cr0
	lgdt	gdtr
	ret

	.code64
start64:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	lidt	idtr
	mov	%ebp, %edi
	xor	%ebp, %ebp
	call	guest_main
	cli
3:	hlt
	jmp	3b

/*
 * Where a processor starts after SIPI; copied below 1 MiB.  It takes the
 * stack that ap_stack names and calls ap_entry().
 */
	.code16
	.globl	ap_start, ap_end
ap_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	ap_gdtr - ap_start + 0x8000
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$24, $ap_32
ap_gdtr: .word	gdt_end - gdt - 1
	.long	gdt
ap_end:
	.code32
ap_32:	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	ap_stack, %esp
	call	long_mode
	ljmp	$8, $ap_64
	.code64
ap_64:	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	lidt	idtr
	call	ap_entry
4:	cli
	hlt
	jmp	4b

/* See user_mode() in guest.h: from its stack to %rdi in ring 3. */
	.globl	user_enter, on_user_idle
user_enter:
	mov	$48, %ax
	ltr	%ax
	mov	%rsp, %rax
	pushq	$32 + 3
	push	%rax
	pushq	$2
	pushq	$40 + 3
	push	%rdi
	iretq
on_user_idle:
	sti
	hlt
	cli
	iretq

	.weak	ap_entry
	.data
	.globl	ap_stack
	.balign	8
ap_stack: .quad	0
	.balign	16
	.globl	gdt
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 8: 64-bit code */
	.quad	0x00cf93000000ffff	/* 16: data */
	.quad	0x00cf9b000000ffff	/* 24: 32-bit code */
	.quad	0x00cff3000000ffff	/* 32: data, ring 3 */
	.quad	0x00affb000000ffff	/* 40: 64-bit code, ring 3 */
	.quad	0, 0			/* 48: task state */
gdt_end:
gdtr:	.word	gdt_end - gdt - 1
	.quad	gdt
	.globl	idtr
idtr:	.word	4095
	.quad	idt

	.bss
	.balign	4096
pml4:	.skip	4096
pdpt:	.skip	4096
pd:	.skip	4 * 4096
	.globl	idt
idt:	.skip	4096
	.skip	16384
stack_top:
	.section .note.GNU-stack, "", @progbits
