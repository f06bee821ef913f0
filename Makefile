# vmd for Linux.  `make' builds, `make check' tests, `make demo' shows; see
# README.md.

B = build
CC = gcc
CLANG = clang
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
FUZZSAN = -O1 -g -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all
STD = -std=gnu11
Q = @

PREFIX = /usr/local
SBINDIR = $(PREFIX)/sbin
LIBEXECDIR = $(SBINDIR)/../libexec
MANDIR = $(PREFIX)/share/man
FUZZ_S = 60
JOBS := $(shell nproc 2>/dev/null || echo 2)

all:

# What modules are made of is known when all have been read.
.SECONDEXPANSION:

UNIT =
FUZZ =
GUEST_TESTS =
HOST_TESTS =

# Unit tests that link the same: $(call units,NAMES,VARIABLE OF SOURCES,LIBS)
define unit_of
UNIT += $(1)
$(1)_SRCS = $$($(2))
$(1)_LIBS = $(3)
endef
units = $(foreach t,$(1),$(eval $(call unit_of,$(t),$(strip $(2)),$(3))))

# Each module.mk lists its sources and what its tests link.
include $(sort $(wildcard lib/*/module.mk proc/module.mk vmd/module.mk \
	vmd/*/module.mk vmctl/module.mk regress/*/module.mk))

UNIT_PROGS = $(UNIT:%=$(B)/unit/%)
CORPUS_PROGS = $(FUZZ:%=$(B)/corpus/%)

define unit_rule
$(B)/unit/$(1): $(B)/asan/regress/unit/$(1).o $$(sort $$($(1)_SRCS:%.c=$(B)/asan/%.o))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(SAN) -o $$@ $$^ -lcmocka $$($(1)_LIBS)
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))

define fuzz_rule
$(B)/corpus/$(1): $(B)/asan/regress/fuzz/corpus_main.o \
	$(B)/asan/regress/fuzz/fuzz_$(1).o $$(sort $$($(1)_FUZZ_SRCS:%.c=$(B)/asan/%.o))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(SAN) -o $$@ $$^ $$($(1)_FUZZ_LIBS)

$(B)/fuzz/$(1): regress/fuzz/fuzz_$(1).c $$(sort $$($(1)_FUZZ_SRCS))
	@mkdir -p $$(@D)
	$(Q)$(CLANG) $(STD) $(CPPFLAGS) $(FUZZSAN) -o $$@ $$^ $$($(1)_FUZZ_LIBS)

fuzz-$(1): $(B)/fuzz/$(1)
	@mkdir -p $(B)/fuzz/corpus/$(1)
	$(B)/fuzz/$(1) -max_total_time=$(FUZZ_S) -print_final_stats=1 \
		-artifact_prefix=$(B)/fuzz/$(1)- \
		$(B)/fuzz/corpus/$(1) regress/fuzz/corpus/$(1)

.PHONY: fuzz-$(1)
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz_rule,$(t))))

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
check check-long: setup
	@$(MAKE) --no-print-directory -j$(JOBS) WERROR=-Werror all tests
	@$(MAKE) --no-print-directory run-$@

tests: $(UNIT_PROGS) $(CORPUS_PROGS) guest-payloads $(B)/regress/vmrun

# The programs that need the whole machine run alone, after the others.
run-check:
	@regress/tools/tap -t 2800 $(UNIT_PROGS) $(CORPUS_PROGS) \
		-- $(GUEST_TESTS) $(HOST_TESTS)

run-check-long:
	@CHECK_LONG=1 regress/tools/tap -t 3600 $(UNIT_PROGS) $(CORPUS_PROGS) \
		-- $(GUEST_TESTS) $(HOST_TESTS)

# One part of it, for those who work on it.
check-unit: $(UNIT_PROGS) $(CORPUS_PROGS)
	@regress/tools/tap $^

fuzz:
	@for t in $(FUZZ); do $(MAKE) --no-print-directory fuzz-$$t || exit 1; done

demo: setup
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@regress/demo/demo

bench: setup
	@$(MAKE) --no-print-directory -j$(JOBS) all guest-payloads \
		$(B)/regress/vmrun $(B)/regress/netblast
	@regress/bench/bench
	@regress/bench/memory
	@regress/bench/disk
	@regress/bench/disk -l
	@regress/bench/net

lint: $(B)/gen/filters.c
	@regress/lint/lint

format:
	git ls-files '*.[ch]' | xargs clang-format -i

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) \
		$(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 \
		$(DESTDIR)$(PREFIX)/share/examples/vmd
	install -m 755 $(B)/vmd $(B)/vmctl $(DESTDIR)$(SBINDIR)
	install -m 755 $(B)/vmd-guest $(DESTDIR)$(LIBEXECDIR)
	install -m 644 man/vm.conf.5 $(DESTDIR)$(MANDIR)/man5
	install -m 644 man/vmd.8 man/vmctl.8 $(DESTDIR)$(MANDIR)/man8
	install -m 644 etc/vm.conf $(DESTDIR)$(PREFIX)/share/examples/vmd

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/vmd $(DESTDIR)$(SBINDIR)/vmctl \
		$(DESTDIR)$(LIBEXECDIR)/vmd-guest \
		$(DESTDIR)$(MANDIR)/man5/vm.conf.5 \
		$(DESTDIR)$(MANDIR)/man8/vmd.8 $(DESTDIR)$(MANDIR)/man8/vmctl.8 \
		$(DESTDIR)$(PREFIX)/share/examples/vmd/vm.conf

clean:
	rm -rf $(B)

.PHONY: all bench check check-long check-unit clean demo format fuzz install \
	lint run-check run-check-long setup tests uninstall
.SECONDARY:

-include $(shell find $(B) -name '*.d' 2>/dev/null)
