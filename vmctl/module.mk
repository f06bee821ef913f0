# vmctl: the control program.
VMCTL_CMD_SRCS = \
	vmctl/audit_check.c \
	vmctl/audit_look.c \
	vmctl/audit_shared.c \
	vmctl/audit_tree.c \
	vmctl/audit_want.c \
	vmctl/audit_tree.c \
	vmctl/client.c \
	vmctl/cmd_create.c \
	vmctl/cmd_audit.c \
	vmctl/cmd_ctl.c \
	vmctl/cmd_disk.c \
	vmctl/cmd_disk_child.c \
	vmctl/cmd_disk_open.c \
	vmctl/cmd_disk_proc.c \
	vmctl/cmd_disk_wire.c \
	vmctl/cmd_host.c \
	vmctl/cmd_pause.c \
	vmctl/cmd_start.c \
	vmctl/cmd_status.c \
	vmctl/cmd_stop.c \
	vmctl/console.c \
	vmctl/escape.c \
	vmctl/list.c \
	vmctl/main.c \
	vmctl/print.c \
	vmctl/print_dev.c \
	vmctl/print_nic.c \
	vmctl/term.c
VMCTL_SANDBOX_SRCS = $(sort $(SANDBOX_SRCS) $(SANDBOX_EVAL_SRCS))
VMCTL_SRCS = \
	vmctl/vmctl.c \
	$(VMCTL_CMD_SRCS) \
	$(IMSG_SRCS) \
	$(UTIL_SRCS) \
	$(PROTO_SRCS) \
	$(IMAGE_SRCS) \
	$(VMCTL_SANDBOX_SRCS) \
	$(VMM_HOST_SRCS)

VMCTL_OBJS = $(patsubst %.c,$(B)/obj/%.o,$(VMCTL_SRCS))
VMCTL_LIBS = -lbsd -ljansson $(IMAGE_LIBS)

$(B)/vmctl: $$(VMCTL_OBJS)
	$(Q)$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(VMCTL_LIBS)

all: $(B)/vmctl

VMCTL_TEST_SRCS = $(VMCTL_CMD_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) $(PROTO_SRCS) \
	$(IMAGE_SRCS) $(VMCTL_SANDBOX_SRCS) $(VMM_HOST_SRCS)
UNIT += vmctl_test vmctl_console_test vmctl_show_test
vmctl_test_SRCS = $(VMCTL_TEST_SRCS)
vmctl_test_LIBS = $(VMCTL_LIBS)
vmctl_show_test_SRCS = $(VMCTL_TEST_SRCS)
vmctl_show_test_LIBS = $(VMCTL_LIBS)
vmctl_console_test_SRCS = $(VMCTL_TEST_SRCS)
vmctl_console_test_LIBS = $(VMCTL_LIBS)

UNIT += audit_check_test
audit_check_test_SRCS = vmctl/audit_check.c vmctl/audit_want.c vmctl/audit_look.c \
	vmctl/audit_shared.c vmctl/audit_tree.c \
	$(VMCTL_SANDBOX_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) $(PROTO_SRCS)
audit_check_test_LIBS = -lbsd

UNIT += vmctl_newfile_test
vmctl_newfile_test_SRCS = vmctl/cmd_disk_open.c lib/disk/imglock.c \
	$(QCOW2_HDR_SRCS) \
	lib/util/fdlist.c
vmctl_newfile_test_LIBS = -Wl,--wrap=open -Wl,--wrap=renameat2
