#!/bin/bash
# The command line's core paths under valgrind's memcheck: reads of what nobody wrote, and memory that nobody points to any
# more, in a release build as it ships. valgrind does not know AVX-512: --kernels avx2 where the processor has it, and generic.
# Took 15 s of processor.
set -u
cd "$(dirname "$0")/../.." || exit 1
PITH=${PITH:-./pith} failed=0
skip() { echo "ok - valgrind # skip $1"; exit 0; }
command -v valgrind >/dev/null || skip "needs valgrind"
[ -x "$PITH" ] || skip "needs $PITH: make all"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The sandbox is made of system calls that valgrind does not know.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive PITH_SANDBOX=off
models=tests/golden/models small=models/bundled
quiet() { # name, command...: no error, no leak, and the output of a run without valgrind
    local name=$1 rc
    shift
    rm -rf "$dir/out"
    "$@" >"$dir/want" 2>&1 </dev/null
    local want=$?
    rm -rf "$dir/out"
    valgrind -q --error-exitcode=99 --exit-on-first-error=no --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible \
        --suppressions=tests/long/valgrind.supp --log-file="$dir/log" "$@" >"$dir/got" 2>&1 </dev/null
    rc=$?
    if [ $rc -eq $want ] && [ ! -s "$dir/log" ] && cmp -s "$dir/want" "$dir/got"; then
        echo "ok - $name"
    else
        echo "not ok - $name (status $rc, expected $want)"
        { cat "$dir/log"; diff "$dir/want" "$dir/got"; } | head -30 | sed 's/^/#   /'
        failed=1
    fi
}
sets="generic"
grep -qw avx2 /proc/cpuinfo 2>/dev/null && sets="avx2 generic"
for k in $sets; do
    for threads in 1 2; do
        quiet "classify, $k, $threads threads" "$PITH" classify -q --kernels $k --threads $threads -m $small/sentiment "A fine film." "Dull."
    done
    quiet "generate 3 tokens, $k" "$PITH" generate -q --kernels $k --threads 1 -m $small/reviews -n 3 --temp 0 "This film"
done
quiet "tokenize" "$PITH" tokenize -q -m $small/sentiment "Café, naïve — 😀"
quiet "inspect" "$PITH" inspect -q $models/bert-bf16-sharded
quiet "inspect a checkpoint" "$PITH" inspect -q "$(ls tests/golden/torch/*.bin | head -1)"
quiet "verify" "$PITH" verify -q $models/distilbert-f32
quiet "convert" "$PITH" convert -q --dtype bf16 $models/distilbert-f32 "$dir/out"
quiet "quantize" "$PITH" quantize -q $models/llama-odd "$dir/out"
printf 'PK\003\004' >"$dir/bad.bin"
quiet "a refusal" "$PITH" inspect -q "$dir/bad.bin"
printf '#include <stdlib.h>\nint main(int c, char **v) { (void)v; char *p = malloc(8); int x = p[c] == 1; p = NULL; return x ? 2 : 0; }\n' >"$dir/planted.c"
if ${CC:-cc} -O0 -o "$dir/planted" "$dir/planted.c" 2>"$dir/log"; then
    valgrind -q --error-exitcode=99 "$dir/planted" >/dev/null 2>&1
    [ $? -eq 99 ] && echo "ok - a planted error is found" || { echo "not ok - a planted error is found"; failed=1; }
fi
exit $failed
