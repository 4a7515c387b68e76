#!/bin/bash
# Static analysis: gcc -fanalyzer, clang-tidy (its checks: .clang-tidy) and cppcheck over all that ships. A finding is known
# by tool, file, function and check; what stands in lint.allow with a reason is let be. Tools differ by version in what they
# imagine, so each runs only in the version its list was made with. LINT_ANY=1: in any. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=${BUILD:-build}/long/lint failed=0
mkdir -p "$dir"
allow=tests/long/lint.allow
flags="-std=c11 -Isrc -I. -I${BUILD:-build}/src -DPITH_DATADIR=\"x\" $(pkg-config --cflags libcjson libutf8proc libxxhash libpcre2-8 zlib nettle libedit libmicrohttpd libseccomp)"
# err.h's functions always return -1, which lint.h says to who cannot see it.
told="$flags -D_GNU_SOURCE= -D_FILE_OFFSET_BITS=64 -Wno-macro-redefined -include tests/long/lint.h"
# Kernels with intrinsics: nothing here understands them. base/err.c: its functions are lint.h's macros.
sources=$(ls src/*.c src/*/*.c models/*.c tokenizer/*.c | grep -vE 'compute/kernel_(avx|amx|neon)|base/err\.c$')

# "file:line check" a line -> "tool:file:function:check", the function being the one that line stands in.
keys() {
    sort -u | awk -v tool="$1" -v FS='[: ]' '{
        file = $1
        if (!(file in read)) {
            read[file] = 1; n = 0; name = "?"
            while ((getline text < file) > 0) {
                n++
                if (text ~ /^[A-Za-z_].*\(/ && text !~ /;[ \t]*$/) { name = text; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
                at[file, n] = name
            }
            close(file)
        }
        print tool ":" file ":" at[file, $2] ":" $3
    }' | sort -u
}
tell() { # tool, what it is, file of findings "file:line check"
    keys "$1" <"$3" >"$dir/$1.keys"
    grep -vE '^(#|$)' "$allow" | sed 's/ .*//' | grep "^$1:" | sort -u >"$dir/$1.allowed"
    local new
    new=$(comm -23 "$dir/$1.keys" "$dir/$1.allowed")
    if [ -z "$new" ]; then echo "ok - $2 ($(wc -l <"$dir/$1.keys") of its findings are listed with a reason)"; else
        echo "not ok - $2"
        sed 's/^/#   /' <<<"$new"
        failed=1
    fi
    comm -13 "$dir/$1.keys" "$dir/$1.allowed" | sed 's/^/#   listed, but not found any more: /'
}
version() { # tool, wanted, found
    [ "$2" = "$3" ] || [ -n "${LINT_ANY-}" ] && return 0
    echo "ok - $1 # skip the list is of version $2, here is ${3:-none}"
    return 1
}

lint_gcc() {
    command -v gcc >/dev/null || { echo "ok - gcc -fanalyzer # skip needs gcc"; return; }
    version "gcc -fanalyzer" 12 "$(gcc -dumpversion | sed 's/\..*//')" || return
    # No leaks: gcc 12 loses a pointer that is stored in a struct behind a parameter. Of 60 reports ten were read, none was true, and the rest are of the same kind;
    # ASan's leak checker, memcheck and the fault injection look for leaks while they happen.
    # shellcheck disable=SC2086
    echo $sources | tr ' ' '\n' | xargs -P"$(nproc)" -I{} gcc $told -fopenmp -fanalyzer -Wno-analyzer-malloc-leak -fdiagnostics-plain-output -c {} -o /dev/null >"$dir/gcc.log" 2>&1
    sed -nE 's/^([a-z_/]+\.[a-z]+):([0-9]+):[0-9]+: warning: .*\[-W(analyzer[a-z-]*)\].*/\1:\2 \3/p' "$dir/gcc.log" >"$dir/gcc.found"
    grep -qE 'error:' "$dir/gcc.log" && { echo "not ok - gcc compiles it"; grep -E 'error:' "$dir/gcc.log" | head -5 | sed 's/^/#   /'; failed=1; }
    tell gcc "gcc -fanalyzer is content" "$dir/gcc.found"
}
lint_tidy() {
    command -v clang-tidy >/dev/null || { echo "ok - clang-tidy # skip needs clang-tidy"; return; }
    version clang-tidy 14 "$(clang-tidy --version | sed -nE 's/.*version ([0-9]+).*/\1/p')" || return
    # shellcheck disable=SC2086
    echo $sources | tr ' ' '\n' | xargs -P"$(nproc)" -I{} clang-tidy --quiet {} -- $told -Wno-unknown-pragmas >"$dir/tidy.log" 2>"$dir/tidy.err"
    sed -nE "s|^$PWD/([^:]+):([0-9]+):[0-9]+: (warning\|error): .*\[([a-zA-Z.-]+).*\].*|\1:\2 \4|p" "$dir/tidy.log" >"$dir/tidy.found"
    tell tidy "clang-tidy is content" "$dir/tidy.found"
}
lint_cppcheck() {
    command -v cppcheck >/dev/null || { echo "ok - cppcheck # skip needs cppcheck"; return; }
    version cppcheck 2.10 "$(cppcheck --version | sed 's/.* //')" || return
    # shellcheck disable=SC2086
    cppcheck --enable=warning,performance,portability --std=c11 --quiet -j"$(nproc)" -Isrc -I. '-DPITH_DATADIR="x"' '--template={file}:{line} {id}' --template-location= $sources src/base/err.c 2>"$dir/cppcheck.log" >/dev/null
    grep -E '^[a-z_/]+\.[a-z]+:[0-9]+ ' "$dir/cppcheck.log" >"$dir/cppcheck.found"
    tell cppcheck "cppcheck is content" "$dir/cppcheck.found"
}
bare=$(grep -vE '^(#|$)' "$allow" | grep -vE '^[a-z]+:[^ ]+:[^ ]+:[^ ]+  +[^ ]')
if [ -z "$bare" ]; then echo "ok - every exception has a reason"; else
    echo "not ok - every exception has a reason"
    sed 's/^/#   /' <<<"$bare"
    failed=1
fi
for t in ${*:-gcc tidy cppcheck}; do lint_"$t"; done
exit $failed
