# vmd for Linux.  `make' builds, `make check' tests; see README.md.

B = build
CC = gcc
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wmissing-declarations -Wold-style-definition -Wpointer-arith \
	-Wcast-qual -Wsign-compare -Wwrite-strings -Wundef -Wvla -Wformat=2 \
	-Wimplicit-fallthrough -Wnull-dereference -Wno-unused-parameter \
	-fno-common
OPT = -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fstack-clash-protection -fcf-protection
CPPFLAGS += -D_GNU_SOURCE -I.
SAN = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
STD = -std=gnu11
Q = @

all:

UNIT =

# Each module.mk lists its sources and what its tests link.
include $(sort $(wildcard lib/*/module.mk proc/module.mk vmd/module.mk \
	vmd/*/module.mk vmctl/module.mk regress/*/module.mk))

UNIT_PROGS = $(UNIT:%=$(B)/unit/%)

define unit_rule
$(B)/unit/$(1): $(B)/asan/regress/unit/$(1).o $$($(1)_SRCS:%.c=$(B)/asan/%.o)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(SAN) -o $$@ $$^ -lcmocka $$($(1)_LIBS)
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(WARN) $(WERROR) $(OPT) -fPIE $(CPPFLAGS) -MMD -MP \
		-c -o $@ $<

$(B)/asan/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(WARN) $(WERROR) $(SAN) $(CPPFLAGS) -MMD -MP \
		-c -o $@ $<

setup:
	@etc/setup

# Tests are built after set-up, by a make of its own: the compiler and the
# headers may not have been there when this one started.
check: setup
	@$(MAKE) --no-print-directory WERROR=-Werror all check-unit

check-unit: $(UNIT_PROGS)
	@regress/tools/tap $(UNIT_PROGS)

clean:
	rm -rf $(B)

.PHONY: all check check-unit clean setup
.SECONDARY:

-include $(shell find $(B) -name '*.d' 2>/dev/null)
