VMMROLE_SRCS = \
	vmd/vmm/guest.c \
	vmd/vmm/launch.c \
	vmd/vmm/probe.c \
	vmd/vmm/vmm.c
