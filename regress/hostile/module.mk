# Test builds with a layer of the sandbox left out, in which processes also
# try what they must not.  They differ in one word, which hostile.py writes
# into copies of this one: it lacks nothing.

# The files that know of it; all others are as in every build.
HOSTILE_FILES = \
	lib/sandbox/ids.c \
	lib/sandbox/landlock.c \
	lib/sandbox/lock.c \
	lib/sandbox/seccomp.c \
	proc/drop.c \
	proc/proc.c \
	vmd/dev/dev.c \
	vmd/dev/dev_start.c \
	vmd/image/image.c \
	vmd/parent/children.c \
	vmd/parent/confine.c \
	vmd/parent/helper.c \
	vmd/parent/opener.c \
	vmd/vmm/device.c \
	vmd/vmm/launch.c

hostile_objs = $(foreach s,$(1),$(if $(filter $(s),$(HOSTILE_FILES)),\
	$(s:%.c=$(B)/hostile/obj/%.o),$(s:%.c=$(B)/obj/%.o)))
HOSTILE_OBJS = \
	$(B)/hostile/obj/regress/hostile/hostile.o \
	$(B)/hostile/obj/regress/hostile/without.o

$(B)/hostile/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(WARN) $(WERROR) $(OPT) -fPIE $(CPPFLAGS) -DHOSTILE \
		-MMD -MP -c -o $@ $<

$(B)/hostile/vmd: $$(call hostile_objs,$$(VMD_SRCS)) $(HOSTILE_OBJS) \
	$(B)/hostile/obj/regress/hostile/noring.o
	$(Q)$(CC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(VMD_LIBS)

$(B)/hostile/vmd-guest: $$(call hostile_objs,$$(VMD_GUEST_SRCS)) \
	$(HOSTILE_OBJS) $(B)/hostile/obj/regress/hostile/ring.o
	$(Q)$(CC) $(VMD_GUEST_LDFLAGS) -o $@ $^ $(VMD_GUEST_LIBS)

hostile-builds: $(B)/hostile/vmd $(B)/hostile/vmd-guest

tests: hostile-builds

.PHONY: hostile-builds

HOST_TESTS += regress/hostile/hostile.py
