# parsers: builds what reads strangers' bytes, and its tests, with one of clang's sanitizers. Kernels and models stay out:
# they take minutes under a sanitizer and never meet a byte that was not checked. Sourced by the scripts beside it, which
# speak TAP; sets nothing but functions and what they need.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CLANG=${CLANG:-clang} PARSER_PKGS="libcjson libutf8proc libxxhash libpcre2-8 zlib nettle"
export PITH_SHARED=${PITH_SHARED:-../shared} CMOCKA_MESSAGE_OUTPUT=TAP
PARSER_TESTS="checked err scan header safetensors shards sniff zip pickle torch csv json spm normalize unicode tokenizer tokenizer_files tokenizer_golden bpe bpe_golden jinja chat"

parsers_skip() { # why
    echo "ok - ${0##*/} # skip $1"
    exit 0
}

wraps() { # names
    (($#)) && printf -- '-Wl,--wrap=%s ' "$@"
}

# $1: folder; the rest: flags. Programs come out as $1/test_NAME; what the compiler says stands in $1/log.
parsers_build() {
    local dir=$1 f flags
    shift
    command -v ${CLANG%% *} >/dev/null || parsers_skip "needs clang"
    echo 'int main(void) { return 0; }' | $CLANG "$@" -x c - -o /dev/null 2>/dev/null || parsers_skip "this clang has no such sanitizer: $*"
    mkdir -p "$dir"
    flags="-std=c11 -O1 -g -fno-omit-frame-pointer -fopenmp=libgomp -ffp-contract=off -Wno-unknown-pragmas -Isrc -I. $(pkg-config --cflags $PARSER_PKGS) $*"
    local sources="src/base/*.c src/formats/*.c src/compute/tensor.c tokenizer/*.c src/weights.c"
    # bind asks the kernels how large packed weights are, and parses nothing.
    # shellcheck disable=SC2086
    ls $sources ${PARSER_DOORS-} | grep -v formats/bind.c >"$dir/sources"
    printf 'tests/test_%s.c\n' $PARSER_TESTS >>"$dir/sources"
    # shellcheck disable=SC2016,SC2086
    xargs -P"$(nproc)" -I{} sh -c 'o=$0/$(echo {} | tr / _).o; '"$CLANG $flags"' -c {} -o "$o"' "$dir" <"$dir/sources" >"$dir/log" 2>&1 || return 1
    rm -f "$dir/parsers.a"
    # shellcheck disable=SC2046,SC2086
    ar rcs "$dir/parsers.a" $(ls "$dir"/*.o | grep -v /tests_)
    for f in $PARSER_TESTS; do
        local wrap="${PARSER_FILES-} ${PARSER_WRAP-}"
        case $f in safetensors | torch) wrap+=" malloc calloc realloc aligned_alloc mmap mmap64 pread64" ;; esac
        # shellcheck disable=SC2046,SC2086
        $CLANG $flags -o "$dir/test_$f" "$dir/tests_test_$f.c.o" ${PARSER_DOORS:+"$dir/$(tr / _ <<<"$PARSER_DOORS").o"} $(wraps $wrap) "$dir/parsers.a" $(pkg-config --libs $PARSER_PKGS) -lcmocka -lm -ldl >>"$dir/log" 2>&1 || return 1
    done
}

# $1: folder. Runs every test; the sanitizer's reports (lines that match $2) are gathered in $1/reports, each once.
parsers_run() {
    local dir=$1 f rc bad=0
    : >"$dir/out"
    for f in $PARSER_TESTS; do
        "$dir/test_$f" >"$dir/one" 2>&1 </dev/null
        rc=$?
        cat "$dir/one" >>"$dir/out"
        grep -ahE "$2" "$dir/one" | sort -u >"$dir/found"
        if [ $rc -eq 0 ] && [ ! -s "$dir/found" ]; then
            echo "ok - $f"
        else
            echo "not ok - $f (status $rc)"
            { grep -aE "^not ok" "$dir/one"; cat "$dir/found"; } | sed 's/^/#   /' | head -40
            bad=1
        fi
    done
    return $bad
}

# $1: folder; $2: as for parsers_run; $3: flags of the sanitizer; the rest: what else make is told. The stored inputs of every
# fuzzer, in a build of the whole library.
parsers_fuzz() {
    local dir=$1 f rc bad=0
    env -u MAKEFLAGS -u MAKELEVEL make --no-print-directory -j"$(nproc)" BUILD="$dir/fuzz" CC="$CLANG" CFLAGS="-O1 -g -fno-omit-frame-pointer -Wno-pass-failed" SAN="$3" "${@:4}" fuzzers >"$dir/log" 2>&1 ||
        { echo "not ok - build of the fuzzers"; tail -40 "$dir/log" | sed 's/^/#   /'; return 1; }
    for f in $(cd tests && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//'); do
        find "tests/fuzz/$f" -type f | sort | MSAN_OPTIONS=${MSAN_OPTIONS-}:halt_on_error=1 xargs -d '\n' "$dir/fuzz/tests/fuzz_$f" >"$dir/one" 2>&1
        rc=$?
        grep -ahE "$2|broken promise" "$dir/one" | sort | uniq -c >"$dir/found"
        if [ $rc -eq 0 ] && [ ! -s "$dir/found" ] && ! grep -q "^0 files" "$dir/one"; then
            echo "ok - fuzz_$f: $(tail -1 "$dir/one")"
        else
            echo "not ok - fuzz_$f (status $rc)"
            sed 's/^/#   /' "$dir/found" | head -40
            bad=1
        fi
    done
    return $bad
}
