#!/bin/bash
# Fuzzes the safetensors reader for SECONDS_TO_FUZZ (30) seconds from the test corpus, under the address and
# undefined-behaviour sanitizers. Needs clang's libFuzzer; without it the corpus alone is replayed with $CC.
# usage: BUILD=build tools/fuzz.sh
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}/fuzz seconds=${SECONDS_TO_FUZZ:-30} python=${PYTHON:-python3}
mkdir -p "$build/found"
sources="tests/fuzz_safetensors.c src/formats/header.c src/formats/safetensors.c src/formats/scan.c src/formats/shards.c src/formats/sniff.c
  src/base/err.c src/base/json.c src/compute/tensor.c"
flags="-std=c11 -Wall -Wextra -Werror -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all -Isrc -I. $(pkg-config --cflags libcjson)"
libs="$(pkg-config --libs libcjson) -lm"
if [ ! -d "$build/seeds" ]; then
    "$python" tests/corpora/gen_safetensors_bad.py "$build/all" >/dev/null
    mkdir "$build/seeds"
    find "$build/all" -name '*.safetensors' -size -8k -exec cp {} "$build/seeds" \;
    rm -r "$build/all"
    echo '{"metadata":{"total_size":2},"weight_map":{"a":"x","b":"y"}}' >"$build/seeds/index"
fi
# shellcheck disable=SC2086
if clang $flags -fsanitize=fuzzer,address,undefined $sources -o "$build/fuzz" $libs 2>"$build/log"; then
    "$build/fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$build/" "$build/found" "$build/seeds"
else
    echo "no clang with libFuzzer here: replaying the corpus only"
    ${CC:-cc} $flags -DREPLAY -fsanitize=address,undefined $sources -o "$build/replay" $libs
    "$build/replay" "$build"/seeds/* "$build"/found/*
fi
