# Goals that test; included by the Makefile, whose variables it uses.
.PHONY: test test-long coverage check asan asan-parsers tsan neon fuzz golden-wide tests
TEST_SRC := $(wildcard tests/test_*.c)
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(BUILD)/server.a $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -pie -o $@ $^ -Wl,--as-needed $(SERVER_LIBS) $(LIBS) -lcmocka
# Lets the n-th allocation fail, or a file shrink under a read.
$(BUILD)/tests/test_safetensors $(BUILD)/tests/test_torch: override LDFLAGS += $(foreach f,malloc calloc realloc aligned_alloc mmap mmap64 pread64,-Wl,--wrap=$(f))
.SECONDARY:
$(BUILD)/tests/test_writer: override LDFLAGS += $(foreach f,malloc calloc realloc,-Wl,--wrap=$(f))
$(BUILD)/tests/test_par: override LDFLAGS += -Wl,--wrap=pthread_create
# Preloaded by the tests that make a disk fail or break out of the sandbox; never with a sanitizer in them, nor with FORTIFY, which
# defines in its own way what these define.
$(BUILD)/tests/faults.so $(BUILD)/tests/breakout.so: $(BUILD)/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(filter-out $(SAN),$(FLAGS)) -U_FORTIFY_SOURCE -shared -o $@ $< -ldl
# Preloaded too: runs a command again and again, each time with another call failing.
$(BUILD)/tests/torture.so: tests/torture.c tests/torture_runs.c tests/torture.h
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(filter-out $(SAN) -MMD -MP,$(FLAGS)) -U_FORTIFY_SOURCE -shared -o $@ $(filter %.c,$^) -ldl -pthread
tests: $(TESTS) $(BUILD)/tests/faults.so $(BUILD)/tests/breakout.so $(BUILD)/tests/torture.so

# Those that read what strangers wrote; `make test` runs them in a sanitizer build too.
empty :=
space := $(empty) $(empty)
PARSER_TESTS := $(addprefix test_,header safetensors torch torch_golden zip pickle scan sniff shards json jtext csv chunks tokenizer \
  tokenizer_files tokenizer_golden tokenizer_members bpe bpe_golden spm unicode normalize regex charsmap jinja chat settings parsers_nomem convert_config \
  convert_plan manifest verify prompts http)
ASAN := CFLAGS="-O1 -g -fno-omit-frame-pointer" SAN="-fsanitize=address,undefined -fno-sanitize-recover=all"
# Lines with it begin with +: make does not see the $(MAKE) in it, and would keep its jobs to itself.
SUBMAKE := $(MAKE) --no-print-directory
parallel = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(or $(JOBS),$(shell nproc)))
test:
	@tools/deps.sh build test
	+@$(SUBMAKE) $(parallel) check
# Branches of the parsers that the stored tests take; V=1 names those that none does.
coverage:
	+@$(SUBMAKE) $(parallel) all BUILD=build
	+@$(SUBMAKE) $(parallel) BUILD=build/coverage KERNELS=build CFLAGS="-O0 -g" SAN="--coverage -fprofile-update=atomic" build/coverage/pith tests fuzzers
	@tools/coverage.sh build/coverage $(PYTHON) $(if $(V),-v)
# Everything; hours. LONG=1 runs tests/long too, among it the sanitizers over every test (asan.sh, tsan.sh).
test-long:
	@tools/deps.sh build test tsan long
	+@LONG=1 TEST_TAIL=200 $(SUBMAKE) $(parallel) check
check: all tests tools $(if $(SAN)$(filter-out build,$(BUILD)),,asan-parsers)
	@BUILD=$(BUILD) PITH=./$(PITH) $(if $(filter asan-parsers,$^),SANITIZED=build/parsers SANITIZED_TESTS="$(PARSER_TESTS)") tests/run.sh '$(ONLY)'
# Every test under both kinds of sanitizer, but for what tests/long/left_out names. What a sanitizer has to say goes to files, for a
# test may take a report for the refusal that it waits for.
sanitized = reports=$(CURDIR)/build/$(1)/reports; rm -rf $$reports; mkdir -p $$reports; said=log_path=$$reports/report; \
  export LEAVE_OUT=$(1) REPORTS=$$reports TEST_LIMIT=$${TEST_LIMIT:-3600} ASAN_OPTIONS=exitcode=99:$$said UBSAN_OPTIONS=exitcode=99:print_stacktrace=1:$$said
asan:
	@tools/deps.sh build test
	@$(call sanitized,asan); $(SUBMAKE) $(parallel) check BUILD=build/asan $(ASAN)
asan-parsers: all
	+@$(SUBMAKE) --quiet BUILD=build/parsers KERNELS=build $(ASAN) $(PARSER_TESTS:%=build/parsers/tests/%)
# clang's OpenMP runtime and its race detector understand each other; gcc's do not.
tsan:
	@tools/deps.sh build test tsan
	@$(call sanitized,tsan); export TSAN_OPTIONS=ignore_noninstrumented_modules=1:atexit_sleep_ms=20:$$said OMP_TOOL_LIBRARIES=$$(ls /usr/lib/llvm-*/lib/libarcher.so | tail -1); \
	  PITH_TEST_QUICK=1 $(SUBMAKE) $(parallel) check BUILD=build/tsan CC=clang OPENMP=1 CFLAGS="-O1 -g" SAN=-fsanitize=thread

neon:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory all
	@NEON=1 BUILD=$(BUILD) PITH=./$(PITH) tests/run.sh '^neon'

# Every tests/fuzz_NAME.c is a fuzzer over the library (of its kernels one set, which every other name stands for) and the parts of
# the programs that read strangers' bytes. Without FUZZ_LINK (-fsanitize=fuzzer) it only replays files. tools/fuzz.sh builds and runs
# it. AFL++: make fuzzers BUILD=build/afl CC=afl-clang-fast CFLAGS="-O1 -g -Wno-pass-failed" SAN=-fsanitize=address,undefined FUZZ_LINK=-fsanitize=fuzzer;
# afl-fuzz -i tests/fuzz/json -o build/afl/out -x tests/fuzz/json.dict build/afl/tests/fuzz_json
FUZZ := $(patsubst tests/fuzz_%.c,%,$(wildcard tests/fuzz_*.c))
FUZZ_SETS := amx avx512vnni avx512 avx2 openblas neon
FUZZ_CALLS := fopen open open64 stat stat64 lstat lstat64 fstat fstat64 read pread pread64 mmap mmap64 munmap madvise close
FUZZ_SRC := $(filter-out $(FUZZ_SETS:%=src/compute/kernel_%.c),$(LIB_SRC)) $(patsubst %,src/cli/%.c,input jtext recording rows) \
  $(wildcard src/server/api*.c) src/server/head.c src/server/metrics.c
$(BUILD)/fuzz.a: $(call obj,$(FUZZ_SRC))
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz_%.o $(BUILD)/tests/fuzz.o $(if $(FUZZ_LINK),,$(BUILD)/tests/replay.o) $(BUILD)/fuzz.a
	$(call say,LD)
	$(Q)$(CC) $(FLAGS) $(FUZZ_LINK) $(LDFLAGS) $(FUZZ_CALLS:%=-Wl,--wrap=%) $(FUZZ_SETS:%=-Wl,--defsym=kernel_%=kernel_generic) -o $@ $^ -pthread $(LIBS)
fuzzers: $(FUZZ:%=$(BUILD)/tests/fuzz_%)
.PHONY: fuzzers fuzz-deps $(FUZZ:%=fuzz-%)
fuzz: $(FUZZ:%=fuzz-%)
	@tools/fuzz.sh --totals
fuzz-deps:
	@tools/deps.sh build test tsan
$(FUZZ:%=fuzz-%): fuzz-%: fuzz-deps
	@tools/fuzz.sh $*

# A random LLaMA of 16 layers x 2048 against float64; 3 GB of disk, some minutes.
golden-wide: all
	@$(PYTHON) tools/make_goldens.py --wide ./$(PITH)

# Static analysis: gcc -fanalyzer, clang-tidy, cppcheck, shellcheck; a part of the long tier.
.PHONY: lint
lint: all
	@tests/long/lint.sh
