# vmd: one program for parent, control, priv, vmm, opener and image.
VMD_SRCS = \
	vmd/main.c \
	vmd/roles.c \
	$(IMSG_SRCS) \
	$(UTIL_SRCS) \
	$(PROTO_SRCS) \
	$(SANDBOX_SRCS) \
	$(PROC_SRCS) \
	$(CONF_SRCS) \
	$(PARENT_SRCS) \
	$(CONTROL_SRCS) \
	$(IMAGEROLE_SRCS) \
	$(PRIV_SRCS) \
	$(VMMROLE_SRCS) \
	$(VMM_HOST_SRCS)

VMD_OBJS = $(VMD_SRCS:%.c=$(B)/obj/%.o)
VMD_LIBS = -levent_core -lbsd -lmd
VMD_LIBS = -levent_core -lbsd $(PRIV_LIBS)

$(B)/vmd: $$(VMD_OBJS)
	$(Q)$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(VMD_LIBS)

all: $(B)/vmd
