#!/bin/bash
# Reads of what nobody wrote, in the parsers: their tests and the fuzzers' stored inputs under clang's MemorySanitizer. What
# the libraries write is told by msan_doors.c. MSAN_ONLY="zip json" runs only those.
# shellcheck source=tests/long/parsers.bash
. "$(dirname "$0")/parsers.bash"
dir=${BUILD:-build}/long/msan bad=0
PARSER_DOORS=tests/long/msan_doors.c
PARSER_FILES="stat stat64 fstat fstat64" # the fuzzers have their own
PARSER_WRAP="fopencookie utf8proc_decompose_char pcre2_get_ovector_pointer_8 pcre2_compile_8 pcre2_get_error_message_8"
export MSAN_OPTIONS=allocator_may_return_null=1
[ -z "${MSAN_ONLY-}" ] || PARSER_TESTS=$MSAN_ONLY
checks="-fsanitize=memory -fsanitize-recover=memory -fsanitize-memory-track-origins=1"
# shellcheck disable=SC2086
parsers_build "$dir" $checks || { echo "not ok - build"; sed 's/^/#   /' "$dir/log" | head -40; exit 1; }
parsers_run "$dir" 'SUMMARY: MemorySanitizer' || bad=1
# Without OpenMP, whose runtime is not instrumented.
# shellcheck disable=SC2086
[ -n "${MSAN_ONLY-}" ] || parsers_fuzz "$dir" 'SUMMARY: MemorySanitizer' "$checks" OPENMP=0 LDFLAGS="$(wraps $PARSER_WRAP) $dir/tests_long_msan_doors.c.o" || bad=1
cat >"$dir/planted.c" <<'C'
#include <stdlib.h>
int main(void)
{
    int *p = malloc(sizeof *p), one = p && *p == 1;
    free(p);
    return one ? 2 : 0;
}
C
$CLANG -fsanitize=memory -o "$dir/planted" "$dir/planted.c" && "$dir/planted" 2>&1 | grep -q 'use-of-uninitialized-value' \
    && echo "ok - a planted read of what nobody wrote is found" || { echo "not ok - a planted read of what nobody wrote is found"; bad=1; }
exit $bad
