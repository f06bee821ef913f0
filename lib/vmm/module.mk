# libvmm: guests on KVM.  For the vm process; vmctl links VMM_HOST_SRCS.
VMM_HOST_SRCS = \
	lib/vmm/host.c
VMM_SRCS = \
	lib/vmm/cpu.c \
	lib/vmm/cpuid.c \
	lib/vmm/exit.c \
	lib/vmm/host.c \
	lib/vmm/insn.c \
	lib/vmm/irq.c \
	lib/vmm/msr.c \
	lib/vmm/regs.c \
	lib/vmm/state.c \
	lib/vmm/state_msr.c \
	lib/vmm/vm.c

UNIT += vmm_cpuid_test vmm_exit_test vmm_insn_test
vmm_cpuid_test_SRCS = lib/vmm/cpuid.c
vmm_exit_test_SRCS = lib/vmm/exit.c
vmm_insn_test_SRCS = lib/vmm/insn.c

UNIT += vmm_kvm_test
vmm_kvm_test_SRCS = $(VMM_SRCS) $(GMEM_SRCS)
vmm_kvm_test_LIBS = -lpthread

UNIT += vmm_wrap_test
vmm_wrap_test_SRCS = $(VMM_SRCS) $(GMEM_SRCS)
vmm_wrap_test_LIBS = -lpthread -Wl,--wrap=ioctl -Wl,--wrap=vmm_msr_read \
	-Wl,--wrap=vmm_msr_write
