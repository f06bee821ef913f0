# Test builds with a layer of the sandbox left out, build/hostile/LAYERS, in
# which processes also try what they must not.  "none" lacks nothing.
HOSTILE_BUILDS = none caps fds filter filter-landlock filter-landlock-root \
	filter-root ids landlock memory nnp nodump ns pidns root slot tree userns

# The files that know of it; all others are as in every build.
HOSTILE_FILES = \
	lib/sandbox/ids.c \
	lib/sandbox/landlock.c \
	lib/sandbox/lock.c \
	lib/sandbox/seccomp.c \
	proc/drop.c \
	proc/proc.c \
	vmd/parent/children.c \
	vmd/dev/dev.c \
	vmd/parent/confine.c \
	vmd/vmm/device.c \
	vmd/vmm/launch.c

hostile_objs = $(foreach s,$(1),$(if $(filter $(s),$(HOSTILE_FILES)),\
	$(s:%.c=$(B)/hostile/obj/%.o),$(s:%.c=$(B)/obj/%.o))) \
	$(B)/hostile/obj/regress/hostile/hostile.o
hostile_mask = 0$(foreach l,$(subst -, ,$(1)),$(if $(filter-out none,$(l)),\
	|HOSTILE_$(shell echo $(l) | tr a-z A-Z)))

$(B)/hostile/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(WARN) $(WERROR) $(OPT) -fPIE $(CPPFLAGS) -DHOSTILE \
		-MMD -MP -c -o $@ $<

define hostile_rule
$(B)/hostile/$(1)/without.o: regress/hostile/without.c lib/sandbox/hostile.h
	@mkdir -p $$(@D)
	@ln -sfn ../../vmctl $$(@D)/vmctl
	@ln -sfn ../../guest $$(@D)/guest
	$(Q)$(CC) $(STD) $(WARN) $(WERROR) $(OPT) -fPIE $(CPPFLAGS) -DHOSTILE \
		"-DHOSTILE_MASK=$$(call hostile_mask,$(1))" -c -o $$@ $$<

$(B)/hostile/$(1)/vmd: $(B)/hostile/$(1)/without.o \
	$$$$(call hostile_objs,$$$$(VMD_SRCS))
	$(Q)$(CC) -pie -Wl,-z,relro,-z,now -o $$@ $$^ $$(VMD_LIBS)

$(B)/hostile/$(1)/vmd-guest: $(B)/hostile/$(1)/without.o \
	$$$$(call hostile_objs,$$$$(VMD_GUEST_SRCS))
	$(Q)$(CC) $$(VMD_GUEST_LDFLAGS) -o $$@ $$^ $$(VMD_GUEST_LIBS)
endef
$(foreach h,$(HOSTILE_BUILDS),$(eval $(call hostile_rule,$(h))))

hostile-builds: $(foreach h,$(HOSTILE_BUILDS),$(B)/hostile/$(h)/vmd \
	$(B)/hostile/$(h)/vmd-guest)

tests: hostile-builds

.PHONY: hostile-builds

HOST_TESTS += regress/hostile/hostile.py
