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

# The real vmm with a parent and guests that the test plays; launch_test has
# namespaces and ids for real.
$(call units,launch_test vmmdev_fail_test vmmdev_test vmmrole_hostile_test \
	vmmrole_test,VMMROLE_TEST_SRCS,-levent_core -lbsd)
