# Goals that test; included by the Makefile, whose variables it uses.
.PHONY: test check asan tsan neon fuzz golden-wide tests
TEST_SRC := $(wildcard tests/test_*.c)
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(BUILD)/server.a $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ -Wl,--as-needed $(SERVER_LIBS) $(LIBS) -lcmocka
# Lets the n-th allocation fail, or a file shrink under a read.
$(BUILD)/tests/test_safetensors $(BUILD)/tests/test_torch: override LDFLAGS += $(foreach f,malloc calloc realloc posix_memalign mmap mmap64 pread64,-Wl,--wrap=$(f))
.SECONDARY:
$(BUILD)/tests/test_writer: override LDFLAGS += $(foreach f,malloc calloc realloc,-Wl,--wrap=$(f))
$(BUILD)/tests/test_par: override LDFLAGS += -Wl,--wrap=pthread_create
# Preloaded by the tests that make a disk fail; never with a sanitizer in it.
$(BUILD)/tests/faults.so: tests/faults.c
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(filter-out $(SAN),$(FLAGS)) -shared -o $@ $< -ldl
# Preloaded too: runs a command again and again, each time with another call failing.
$(BUILD)/tests/torture.so: tests/torture.c tests/torture_runs.c tests/torture.h
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(filter-out $(SAN) -MMD -MP,$(FLAGS)) -shared -o $@ $(filter %.c,$^) -ldl -pthread
tests: $(TESTS) $(BUILD)/tests/faults.so $(BUILD)/tests/torture.so

test:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory check
check: all tests tools
	@BUILD=$(BUILD) PITH=./$(PITH) tests/run.sh '$(ONLY)'
asan:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory check BUILD=build/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	  SAN="-fsanitize=address,undefined -fno-sanitize-recover=all"
# clang's OpenMP runtime and its race detector understand each other; gcc's do not.
tsan:
	@tools/deps.sh build test tsan
	@OMP_TOOL_LIBRARIES=$$(ls /usr/lib/llvm-*/lib/libarcher.so | tail -1) TSAN_OPTIONS=ignore_noninstrumented_modules=1 \
	  $(MAKE) --no-print-directory check BUILD=build/tsan CC=clang CFLAGS="-O1 -g" SAN=-fsanitize=thread \
	  ONLY='^test_(par|op|kv|moe|engine|classify|prompts|worker|worker_write|worker_texts|metrics|http)$$$$'

neon:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) PITH=./$(PITH) tests/run.sh '^neon'

fuzz:
	@BUILD=$(BUILD) tools/fuzz.sh

# A random LLaMA of 16 layers x 2048 against float64; 3 GB of disk, some minutes.
golden-wide: all
	@$(PYTHON) tools/make_goldens.py --wide ./$(PITH)
