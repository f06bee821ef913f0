VMMROLE_SRCS = \
	vmd/vmm/device.c \
	vmd/vmm/device_end.c \
	vmd/vmm/end.c \
	vmd/vmm/guest.c \
	vmd/vmm/launch.c \
	vmd/vmm/probe.c \
	vmd/vmm/stats.c \
	vmd/vmm/vmm.c

VMMROLE_TEST_SRCS = \
	$(VMMROLE_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) $(PROTO_SRCS) \
	$(SANDBOX_SRCS) $(PROC_SRCS) $(VMM_HOST_SRCS)

# The real vmm with a parent and guests that the test plays.
UNIT += vmmrole_test
vmmrole_test_SRCS = $(VMMROLE_TEST_SRCS)
vmmrole_test_LIBS = -levent_core -lbsd

UNIT += vmmrole_hostile_test
vmmrole_hostile_test_SRCS = $(VMMROLE_TEST_SRCS)
vmmrole_hostile_test_LIBS = -levent_core -lbsd

# Namespaces and ids for real.
UNIT += launch_test
launch_test_SRCS = $(VMMROLE_TEST_SRCS)
launch_test_LIBS = -levent_core -lbsd

# Devices of guests.
UNIT += vmmdev_test vmmdev_fail_test
vmmdev_test_SRCS = $(VMMROLE_TEST_SRCS)
vmmdev_test_LIBS = -levent_core -lbsd
vmmdev_fail_test_SRCS = $(VMMROLE_TEST_SRCS)
vmmdev_fail_test_LIBS = -levent_core -lbsd
