# Goals that test; included by the Makefile, whose variables it uses.
.PHONY: test test-long coverage check asan asan-parsers tsan neon fuzz golden-wide tests
TEST_SRC := $(wildcard tests/test_*.c)
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(BUILD)/server.a $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -pie -o $@ $^ -Wl,--as-needed $(SERVER_LIBS) $(LIBS) -lcmocka
# Lets the n-th allocation fail, or a file shrink under a read.
$(BUILD)/tests/test_safetensors $(BUILD)/tests/test_torch: override LDFLAGS += $(foreach f,malloc calloc realloc posix_memalign mmap mmap64 pread64,-Wl,--wrap=$(f))
.SECONDARY:
$(BUILD)/tests/test_writer: override LDFLAGS += $(foreach f,malloc calloc realloc,-Wl,--wrap=$(f))
# Preloaded by the tests that make a disk fail or break out of the sandbox; never with a sanitizer in them.
$(BUILD)/tests/faults.so $(BUILD)/tests/breakout.so: $(BUILD)/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(filter-out $(SAN),$(FLAGS)) -shared -o $@ $< -ldl
tests: $(TESTS) $(BUILD)/tests/faults.so $(BUILD)/tests/breakout.so

# Those that read what strangers wrote; `make test` runs them in a sanitizer build too.
empty :=
space := $(empty) $(empty)
PARSER_TESTS := $(addprefix test_,header safetensors torch torch_golden zip pickle scan sniff shards json jtext csv chunks tokenizer \
  tokenizer_files tokenizer_golden bpe bpe_golden spm unicode normalize jinja chat convert_config convert_plan manifest verify prompts http)
ASAN := CFLAGS="-O1 -g -fno-omit-frame-pointer" SAN="-fsanitize=address,undefined -fno-sanitize-recover=all"
SUBMAKE := $(MAKE) --no-print-directory
parallel = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(or $(JOBS),$(shell nproc)))
test:
	@tools/deps.sh build test
	@$(SUBMAKE) $(parallel) check
# Branches of the parsers that the stored tests take. Bars on time and memory are not for this build: what fails there is told.
coverage:
	@$(SUBMAKE) $(parallel) all BUILD=build
	@find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(SUBMAKE) $(parallel) BUILD=build/coverage KERNELS=build CFLAGS="-O0 -g" SAN="--coverage -fprofile-update=atomic" build/coverage/pith $(PARSER_TESTS:%=build/coverage/tests/%)
	@BUILD=build/coverage PITH=build/coverage/pith TEST_TAIL=5 tests/run.sh '^($(subst $(space),|,$(PARSER_TESTS))|corpus_.*|bounds.sh|cli_(hostile|tokenize|template|batch|options).*)$$$$' || true
	@$(PYTHON) tests/coverage.py build/coverage $(if $(V),-v)
# Everything; hours. LONG=1 runs tests/long too, among it the sanitizers over every test (asan.sh, tsan.sh).
test-long:
	@tools/deps.sh build test tsan long
	@LONG=1 TEST_TAIL=200 $(SUBMAKE) $(parallel) check
check: all tests tools $(if $(SAN)$(filter-out build,$(BUILD)),,asan-parsers)
	@BUILD=$(BUILD) PITH=./$(PITH) $(if $(filter asan-parsers,$^),SANITIZED=build/parsers SANITIZED_TESTS="$(PARSER_TESTS)") tests/run.sh '$(ONLY)'
asan:
	@tools/deps.sh build test
	@$(SUBMAKE) $(parallel) check BUILD=build/asan $(ASAN)
asan-parsers: all
	@$(SUBMAKE) --quiet BUILD=build/parsers KERNELS=build $(ASAN) $(PARSER_TESTS:%=build/parsers/tests/%)
# clang's OpenMP runtime and its race detector understand each other; gcc's do not.
tsan:
	@tools/deps.sh build test tsan
	@OMP_TOOL_LIBRARIES=$$(ls /usr/lib/llvm-*/lib/libarcher.so | tail -1) TSAN_OPTIONS=ignore_noninstrumented_modules=1 \
	  $(SUBMAKE) $(parallel) check BUILD=build/tsan CC=clang CFLAGS="-O1 -g" SAN=-fsanitize=thread \
	  ONLY='^(test_(par|op|kv|moe|engine|classify|prompts|generate|embed|worker|worker_write|worker_texts|metrics|http|listen)|server_(openai|tei).sh)$$$$'

neon:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) PITH=./$(PITH) tests/run.sh '^neon'

fuzz:
	@BUILD=$(BUILD) tools/fuzz.sh

# A random LLaMA of 16 layers x 2048 against float64; 3 GB of disk, some minutes.
golden-wide: all
	@$(PYTHON) tools/make_goldens.py --wide ./$(PITH)
