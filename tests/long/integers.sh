#!/bin/bash
# Arithmetic on file values, watched while it happens: the parsers' tests and the fuzzers' stored inputs with clang's integer
# checks, which know of unsigned wrap-around and of conversions that lose a value. Both are legal C, and both are how a header
# lies about a size.
# shellcheck source=tests/long/parsers.bash
. "$(dirname "$0")/parsers.bash"
dir=${BUILD:-build}/long/integers bad=0
export CCACHE_EXTRAFILES=$PWD/tests/long/integers.ignore # a compiler cache does not look into it by itself
checks="-fsanitize=undefined,integer,implicit-conversion,bounds -fno-sanitize-recover=undefined -fsanitize-ignorelist=tests/long/integers.ignore"
# shellcheck disable=SC2086
parsers_build "$dir" $checks || { echo "not ok - build"; sed 's/^/#   /' "$dir/log" | head -40; exit 1; }
parsers_run "$dir" 'runtime error:' || bad=1
parsers_fuzz "$dir" 'runtime error:' "$checks" || bad=1
cat >"$dir/planted.c" <<'C'
#include <stdint.h>
int main(int argc, char **argv)
{
    uint64_t n = UINT64_MAX / 2 + (uint64_t)argc, bytes = n * 4;
    (void)argv;
    return bytes == 1;
}
C
$CLANG -fsanitize=integer -o "$dir/planted" "$dir/planted.c" && "$dir/planted" 2>&1 | grep -q 'runtime error: unsigned integer overflow' \
    && echo "ok - a planted wrap-around is found" || { echo "not ok - a planted wrap-around is found"; bad=1; }
exit $bad
