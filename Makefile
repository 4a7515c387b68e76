# pith. `make demo`: install what is missing, build, classify. `make test`: the same, and every test.
CC ?= cc
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
BUILD ?= build
PYTHON ?= /usr/bin/python3
VERSION := $(shell sed -n 's/.*PITH_VERSION "\(.*\)"/\1/p' src/pith.h)
SOVERSION := 0
PKGS := libcjson libutf8proc libxxhash libpcre2-8 zlib nettle
# 0: built without `pith serve` (libmicrohttpd), without the sandbox's filter of system calls (libseccomp makes it), without editing
# of lines in `pith chat` (libedit), with threads of its own in place of OpenMP's (as for clang, whose OpenMP wants a file in
# /dev/shm at its first use: the sandbox is there before).
SERVE ?= 1
SECCOMP ?= 1
EDIT ?= 1
OPENMP ?= $(if $(findstring clang,$(CC)),0,1)
on = $(filter-out 0,$(1))
SERVER_PKGS := $(if $(call on,$(SERVE)),libmicrohttpd)
CLI_PKGS := $(strip $(if $(call on,$(EDIT)),libedit) $(SERVER_PKGS))
MPI_PKG ?= ompi-c
PKG_CONFIG ?= pkg-config
GOALS_WITHOUT_LIBS := clean deps demo test neon deb static
# STATIC=1: one program that needs no library of the system (`make static`).
ifdef STATIC
PKG_CONFIG += --static
endif
PIE := $(if $(STATIC),-static-pie,-pie)
ifneq ($(filter-out $(GOALS_WITHOUT_LIBS),$(or $(MAKECMDGOALS),all)),)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) $(CLI_PKGS))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS))
CLI_LIBS := -pthread $(if $(CLI_PKGS),$(shell $(PKG_CONFIG) --libs $(CLI_PKGS)))
SERVER_LIBS := -pthread $(if $(strip $(SERVER_PKGS)),$(shell $(PKG_CONFIG) --libs $(SERVER_PKGS)))
endif
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
# No path of this folder in what is built, however it was entered.
export PWD := $(CURDIR)
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
# What this compiler knows of it; FORTIFY wants optimisation, and sanitizers look at more than it does.
knows = $(foreach f,$(1),$(shell $(CC) -Werror $(f) -c -x c /dev/null -o /dev/null 2>/dev/null && echo "$(f)"))
CET := $(if $(filter x86_64,$(ARCH)),-fcf-protection,$(if $(filter aarch64,$(ARCH)),-mbranch-protection=standard))
HARDEN := $(call knows,-fstack-protector-strong -fstack-clash-protection $(CET)) -U_FORTIFY_SOURCE \
  $(if $(filter-out -O0,$(filter -O%,$(CFLAGS))),$(if $(SAN),,-D_FORTIFY_SOURCE=3))
override HARDEN_LD := -Wl,-z,relro,-z,now,-z,noexecstack
# After the user's flags: the bits contract (DESIGN section 3) depends on them.
override FLAGS = $(CPPFLAGS) $(CFLAGS) -std=c11 $(WARN) -Isrc -I. -fPIC -fvisibility=hidden -fopenmp$(if $(call on,$(OPENMP)),,-simd) \
  -fno-fast-math -ffp-contract=off -fno-math-errno -fno-trapping-math $(HARDEN) -MMD -MP "-ffile-prefix-map=$(CURDIR)=." $(PKG_CFLAGS) $(SAN)
LIBS = $(HARDEN_LD) $(PKG_LIBS) -lm -ldl $(if $(call on,$(OPENMP)),,-pthread)

# `make MPI=1`: classify --mpi.
ifdef MPI
$(BUILD)/src/cli/mpi.o: CPPFLAGS += -DPITH_MPI $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(MPI_PKG)))
CLI_LIBS += $(shell $(PKG_CONFIG) --libs $(MPI_PKG))
endif

LIB_SRC := $(filter-out src/cli/% src/server/%,$(sort $(wildcard src/*.c src/*/*.c models/*.c tokenizer/*.c)))
CLI_SRC := $(sort $(wildcard src/cli/*.c))
SERVER_SRC := $(if $(call on,$(SERVE)),$(filter-out %_rules.c,$(sort $(wildcard src/server/*.c))),src/server/sandbox.c)
TOOL_SRC := $(wildcard tools/*.c tools/examples/*.c)
# A sanitizer takes minutes over the kernels: a build that does not test them borrows another's (KERNELS=build).
obj = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(if $(KERNELS),src/compute/kernel_%),$(1))) \
  $(patsubst %.c,$(KERNELS)/%.o,$(filter $(if $(KERNELS),src/compute/kernel_%),$(1)))
TOOLS := $(patsubst tools/%.c,$(BUILD)/tools/%,$(TOOL_SRC))
PITH := $(if $(filter build,$(BUILD)),pith,$(BUILD)/pith)

Q := $(if $(V),,@)
say = @$(if $(V),:,printf "  %-4s %s\n" $(1) $@)

.PHONY: all demo bench clean deps tools force
.DELETE_ON_ERROR:
all: $(PITH) $(BUILD)/libpith.a $(BUILD)/libpith.so

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(FLAGS) $(KERNEL_FLAGS) -c $< -o $@
# Names of variables would take a third of the time to compile them; with a sanitizer those and -O3 take minutes.
KERNEL_O := $(if $(SAN),-O1 -g1,-O3 -fno-var-tracking)
ifeq ($(ARCH),x86_64)
$(BUILD)/src/compute/kernel_avx512vnni.o: KERNEL_FLAGS = $(KERNEL_O) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c
$(BUILD)/src/compute/kernel_amx.o: KERNEL_FLAGS = $(KERNEL_O) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c -mamx-tile -mamx-int8
$(BUILD)/src/compute/kernel_avx2.o: KERNEL_FLAGS = $(KERNEL_O) -mavx2 -mfma -mf16c
$(BUILD)/src/compute/kernel_avx512.o: KERNEL_FLAGS = $(KERNEL_O) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c
else ifeq ($(ARCH),aarch64)
$(BUILD)/src/compute/kernel_neondot.o: KERNEL_FLAGS = $(KERNEL_O) -march=armv8.2-a+dotprod
$(BUILD)/src/compute/kernel_neoni8mm.o: KERNEL_FLAGS = $(KERNEL_O) -march=armv8.2-a+dotprod+i8mm
endif
$(BUILD)/src/compute/kernel_generic.o $(BUILD)/src/compute/kernel_neon.o: KERNEL_FLAGS = $(KERNEL_O)

$(BUILD)/libpith.a: $(call obj,$(LIB_SRC))
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcsD $@ $^
$(BUILD)/libpith.so.$(VERSION): $(call obj,$(LIB_SRC)) src/pith.map
	$(call say,LD)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -shared -Wl,-soname,libpith.so.$(SOVERSION),-z,nodelete,--version-script=src/pith.map -o $@ $(filter %.o,$^) $(LIBS)
$(BUILD)/libpith.so: $(BUILD)/libpith.so.$(VERSION)
	$(Q)ln -sf $(<F) $(BUILD)/libpith.so.$(SOVERSION)
	$(Q)ln -sf $(<F) $@
$(BUILD)/server.a: $(call obj,$(SERVER_SRC))
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcsD $@ $(filter %.o,$^)
$(PITH): $(call obj,$(CLI_SRC)) $(BUILD)/server.a $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $(PIE) -o $@ $^ $(CLI_LIBS) $(LIBS)
# The objects that a switch changes.
SWITCHES = $(foreach s,SERVE SECCOMP EDIT OPENMP MPI,$(s)=$($(s)))
$(BUILD)/switches: force
	@mkdir -p $(@D)
	@echo $(SWITCHES) | cmp -s - $@ || echo $(SWITCHES) > $@
$(BUILD)/server.a $(patsubst %,$(BUILD)/src/%.o,base/par server/sandbox cli/cmd_serve cli/edit cli/mpi): $(BUILD)/switches
# The sandbox's filters: instructions that libseccomp, on the machine that builds, makes of the rules.
HOSTCC ?= cc
$(BUILD)/sandbox_rules: src/server/sandbox_rules.c
	@mkdir -p $(@D)
	$(call say,HOST)
	$(Q)$(HOSTCC) -std=c11 -O1 $(WARN) -o $@ $< -lseccomp
$(BUILD)/src/server/sandbox_%.inc: $(BUILD)/sandbox_rules
	@mkdir -p $(@D)
	$(Q)$< $(ARCH) $* > $@
$(BUILD)/src/server/sandbox.o: CPPFLAGS += $(if $(call on,$(SECCOMP)),-I$(BUILD)/src,-DPITH_WITHOUT_SECCOMP)
$(BUILD)/src/server/sandbox.o: $(if $(call on,$(SECCOMP)),$(patsubst %,$(BUILD)/src/server/sandbox_%.inc,serve verb))
$(BUILD)/src/cli/cmd_serve.o: CPPFLAGS += $(if $(call on,$(SERVE)),,-DPITH_WITHOUT_SERVE)
$(BUILD)/src/cli/edit.o: CPPFLAGS += $(if $(call on,$(EDIT)),,-DPITH_WITHOUT_EDIT)
$(BUILD)/src/compute/kernel_openblas.o: CPPFLAGS += $(if $(STATIC),-DPITH_STATIC)
$(BUILD)/src/cli/%.o: CPPFLAGS += -DPITH_DATADIR='"$(PREFIX)/share/pith"' -I$(BUILD)/src
# Pages, of `inspect --html` and of the server, as string literals, one a line.
$(BUILD)/src/server/api_page.o: CPPFLAGS += -I$(BUILD)/src
$(BUILD)/src/cli/html.o: $(patsubst %,$(BUILD)/src/%.inc,base/page.js $(addprefix cli/page.,html css js))
$(BUILD)/src/server/api_page.o: $(patsubst %,$(BUILD)/src/%.inc,base/page.js $(addprefix server/page.,html css js))
$(BUILD)/src/%.inc: src/%
	@mkdir -p $(@D)
	$(Q)sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n",/' $< > $@
$(BUILD)/tools/%: $(BUILD)/tools/%.o $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -pie -o $@ $^ $(LIBS)
tools: $(TOOLS)
deps:
	@tools/deps.sh $(DEPS)
demo:
	@tools/deps.sh build
	@$(MAKE) --no-print-directory all
	@tools/demo.sh
include tests/tests.mk
include tools/install.mk
bench: all tools
	@$(BUILD)/tools/bench
clean:
	rm -rf build pith

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
