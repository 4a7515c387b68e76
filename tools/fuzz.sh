#!/bin/bash
# Fuzzes the readers of safetensors files, PyTorch checkpoints and pickles, the tokenizer and the template interpreter for
# SECONDS_TO_FUZZ (30) seconds each, under the address and undefined-behaviour sanitizers. Needs clang's libFuzzer; without
# it seeds alone are replayed with $CC.
# usage: BUILD=build tools/fuzz.sh [safetensors|torch|pickle|tokenizer|jinja]...
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}/fuzz seconds=${SECONDS_TO_FUZZ:-30} python=${PYTHON:-python3}
pkgs="libcjson libutf8proc libpcre2-8 zlib"
flags="-std=c11 -Wall -Wextra -Werror -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all -Wno-unknown-pragmas -Isrc -I. $(pkg-config --cflags $pkgs)"
libs="$(pkg-config --libs $pkgs) -lm"
base="src/base/err.c src/base/json.c src/base/memtext.c src/base/path.c"

seed_safetensors() {
    "$python" tests/corpora/gen_safetensors_bad.py "$1/all" >/dev/null
    find "$1/all" -name '*.safetensors' -size -8k -exec cp {} "$1" \;
    rm -r "$1/all"
    echo '{"metadata":{"total_size":2},"weight_map":{"a":"x","b":"y"}}' >"$1/index"
}
# Small checkpoints, torch's and hostile ones, each behind a byte that says how to take it (see fuzz_torch.c): as it is,
# with checksums put right, and its pickle in a new zip and in a legacy stream; or the pickle alone.
seed_torch() {
    "$python" tests/corpora/gen_bad_bin.py "$1/all" >/dev/null
    "$python" - "$1" "${2-}" "$1"/all/*.bin tests/golden/torch/*.bin <<'P'
import os, sys, zipfile
out, alone = sys.argv[1:3]
for path in sys.argv[3:]:
    if os.path.getsize(path) > 4000: continue
    with open(path, "rb") as f: seeds = {} if alone else {0: f.read()}
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as z: body = z.read(next(n for n in z.namelist() if n.endswith("data.pkl")))
        except Exception: continue
        seeds.update({1: body} if alone else {1: seeds[0], 2: body, 3: body})
    for kind, b in seeds.items():
        with open(f"{out}/{os.path.basename(path)}.{kind}", "wb") as f: f.write(bytes([kind]) + b)
P
    rm -r "$1/all"
}
seed_pickle() { seed_torch "$1" alone; }
seed_tokenizer() { printf '\002some text [SEP] caf\303\251' >"$1/text"; }
seed_jinja() { printf '\001{%% for m in messages %%}{{ m.role | upper }}{%% endfor %%}' >"$1/template"; }

fuzz() { # name sources...
    local name=$1 dir=$build/$1 dict=
    shift
    echo "== $name"
    mkdir -p "$dir/found"
    if [ ! -d "$dir/seeds" ]; then
        mkdir "$dir/seeds"
        "seed_$name" "$dir/seeds"
    fi
    case $name in torch | pickle) dict=-dict=tests/fuzz_pickle.dict ;; esac
    # shellcheck disable=SC2086
    if clang $flags -fsanitize=fuzzer,address,undefined "tests/fuzz_$name.c" "$@" $base -o "$dir/fuzz" $libs 2>"$dir/log"; then
        # shellcheck disable=SC2086
        "$dir/fuzz" $dict -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
            -artifact_prefix="$dir/" "$dir/found" "$dir/seeds"
    else
        echo "no clang with libFuzzer here: replaying seeds only"
        ${CC:-cc} $flags -DREPLAY -DFUZZ_MAIN -fsanitize=address,undefined "tests/fuzz_$name.c" "$@" $base -o "$dir/replay" $libs
        find "$dir/seeds" "$dir/found" -type f -exec "$dir/replay" {} +
    fi
}
for name in ${*:-safetensors torch pickle tokenizer jinja}; do
    case $name in
    safetensors) fuzz safetensors src/formats/{header,mapped,safetensors,scan,shards,sniff}.c src/compute/tensor.c ;;
    torch) fuzz torch src/formats/{zip,pickle,rebuild,checkpoint,torch,mapped,header,shards,scan,sniff}.c src/compute/tensor.c ;;
    pickle) fuzz pickle src/formats/{pickle,rebuild,scan}.c src/compute/tensor.c ;;
    tokenizer) fuzz tokenizer tokenizer/*.c ;;
    jinja) fuzz jinja tokenizer/jinja*.c tokenizer/unicode.c ;;
    *) echo "fuzz.sh: unknown target '$name' (safetensors, torch, pickle, tokenizer, jinja)" >&2; exit 2 ;;
    esac
done
