#!/bin/bash
# `make coverage`: runs what is stored over a build without optimisation that counts its branches, and prints what of the parsers
# it took (tests/coverage.py): the unit tests, the corpora, the command line and the protocols, the fuzzers' inputs, and the
# torture tests with every call failing that can. Bars on time and memory are not for this build: what fails there is told.
# usage: tools/coverage.sh BUILD PYTHON [-v | -l]
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1 python=$2 dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
shift 2
export BUILD=$build PITH=$build/pith PITH_SANDBOX=off # counts are written when a program ends
find "$build" -name '*.gcda' -delete
# Those of the arithmetic look at no byte that a stranger wrote, and take minutes without optimisation.
skip='test_(kernel|kernel_portable|quant|quantize|op|rope|mlp|moe|kv|causal|engine|cast|par|memory|landlock|sandbox|stream|sample|worker.*|hosts|metrics|outfile|digest)'
names=$(cd tests && ls test_*.c | sed 's/\.c$//' | grep -vxE "$skip" | paste -sd'|')
TEST_TAIL=5 tests/run.sh "^($names|corpus_.*|bounds.sh|cli_(hostile|tokenize|template|batch|shard|options|verify|eval|embed)\.bats|server_(openai|tei).sh|server.bats)\$" >"$dir/tests"
grep -E '^FAILED|^skipped|passed,' "$dir/tests"
for f in tests/fuzz_*.c; do
    name=$(basename "$f" .c) name=${name#fuzz_}
    find "tests/fuzz/$name" -type f -print0 | xargs -0 "$build/tests/fuzz_$name" >"$dir/log" 2>&1 || { echo "FAILED: the inputs of fuzz_$name"; tail -3 "$dir/log"; }
done
{
    LONG=1 tests/torture.sh '^inspect$|PyTorch|template|vocab|rows as csv'
    EVERY=40 tests/torture.sh 'verify --'
    EVERY=9 tests/torture.sh 'serve'
} >"$dir/log" 2>&1
grep -A5 '^not ok' "$dir/log"
"$python" tests/coverage.py "$build" "$@"
