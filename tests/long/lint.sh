#!/bin/bash
# Static analysis: gcc -fanalyzer, clang-tidy (its checks: .clang-tidy) and cppcheck over all that ships, shellcheck over all
# scripts. A finding is known by tool, file, function and check, and their number where there are several; what stands in
# lint.allow with a reason is let be, and what stands there must be found. Tools differ by version in what they imagine, so each
# runs only in the version its list was made with. LINT_ANY=1: in any. LINT_FILES=REGEX: only those files. Speaks TAP.
# usage: lint.sh [gcc|tidy|cppcheck|shell]...
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=${BUILD:-build}/long/lint failed=0
mkdir -p "$dir"
allow=tests/long/lint.allow only=${LINT_FILES:-.}
flags="-std=c11 -Isrc -I. -I${BUILD:-build}/src -DPITH_DATADIR=\"x\" $(pkg-config --cflags libcjson libutf8proc libxxhash libpcre2-8 zlib nettle libedit libmicrohttpd libseccomp)"
told="$flags -D_GNU_SOURCE= -D_FILE_OFFSET_BITS=64 -Wno-macro-redefined"
# Kernels with intrinsics: nothing here understands them. lint_planted.c: what every tool must find, listed in lint.allow.
sources=$(ls src/*.c src/*/*.c models/*.c tokenizer/*.c tests/long/lint_planted.c | grep -vE 'compute/kernel_(avx|amx|neon)' | grep -E "$only")
# lint.h tells of err's and mem's functions to who cannot see them; not where they stand.
each() { # name, shell text with $f for the file and $lint; leaves NAME.log
    local rc
    rm -rf "${dir:?}/$1" && mkdir "$dir/$1"
    told=$told xargs -P"$(nproc)" -n1 bash -c 'f=$1 lint="-include tests/long/lint.h"
        case $f in src/base/err.c | src/base/mem.c) lint= ;; esac
        '"$2 >'$dir/$1'/\${f//\//_} 2>&1" _ <<<"$sources"
    rc=$?
    cat "$dir/$1"/* >"$dir/$1.log"
    return $rc
}

# "file:line check" a line -> "tool:file:function:check" and how many, the function being the one that line stands in.
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
    }' | sort | uniq -c | awk '{ print $2 ($1 > 1 ? "*" $1 : "") }' | sort
}
tell() { # tool, what it is, file of findings "file:line check"
    local new gone
    keys "$1" <"$3" | grep -E "^$1:[^:]*($only)" >"$dir/$1.keys"
    grep -vE '^(#|$)' "$allow" | sed 's/ .*//' | grep -E "^$1:[^:]*($only)" | sort >"$dir/$1.allowed"
    new=$(comm -23 "$dir/$1.keys" "$dir/$1.allowed") gone=$(comm -13 "$dir/$1.keys" "$dir/$1.allowed")
    if [ -z "$new$gone" ]; then echo "ok - $2 ($(wc -l <"$3") findings, each listed with a reason)"; else
        echo "not ok - $2"
        sed '/^$/d; s/^/#   /' <<<"$new"
        sed '/^$/d; s/^/#   listed, but not found: /' <<<"$gone"
        failed=1
    fi
}
worked() { # tool, its status, pattern of its failure, log
    [ "$2" = 0 ] && ! grep -qE "$3" "$4" && return
    echo "not ok - $1 read every file (status $2)"
    grep -E "$3" "$4" | head -5 | sed 's/^/#   /'
    failed=1
}
version() { # tool, wanted, found
    [ "$2" = "$3" ] || [ -n "${LINT_ANY-}" ] && return 0
    echo "ok - $1 # skip the list is of version $2, here is ${3:-none}"
    return 1
}

lint_gcc() {
    command -v gcc >/dev/null || { echo "ok - gcc -fanalyzer # skip needs gcc"; return; }
    version "gcc -fanalyzer" 12 "$(gcc -dumpversion | sed 's/\..*//')" || return
    each gcc 'gcc $told $lint -fopenmp -fanalyzer -fdiagnostics-plain-output -c "$f" -o /dev/null'
    worked gcc $? '^[^ ]+: (fatal )?error:' "$dir/gcc.log"
    # What is found in lint.h belongs to where its macro stands, which the next line says.
    sed -nE '\|^(\./)?tests/long/lint.h:.* warning: |{N; s/^[^ ]*( warning: [^\n]*)\n([^ ]*) note: in expansion.*/\2\1/}
        s/^([a-z_/]+\.[a-z]+):([0-9]+):[0-9]+: warning: .*\[-W(analyzer[a-z-]*)\].*/\1:\2 \3/p' "$dir/gcc.log" | sort -u >"$dir/gcc.found"
    tell gcc "gcc -fanalyzer is content" "$dir/gcc.found"
}
lint_tidy() {
    command -v clang-tidy >/dev/null || { echo "ok - clang-tidy # skip needs clang-tidy"; return; }
    version clang-tidy 14 "$(clang-tidy --version | sed -nE 's/.*version ([0-9]+).*/\1/p')" || return
    each tidy 'clang-tidy --quiet "$f" -- $told $lint -Wno-unknown-pragmas'
    worked clang-tidy $? '^[^ ]+: (fatal )?error:' "$dir/tidy.log"
    sed -nE "s#^($PWD/)?(\./)?([^/:][^:]*):([0-9]+):[0-9]+: (warning|error): .*\[([a-zA-Z0-9.-]+).*\].*#\3:\4 \6#p" "$dir/tidy.log" | sort -u >"$dir/tidy.found"
    tell tidy "clang-tidy is content" "$dir/tidy.found"
}
lint_cppcheck() {
    command -v cppcheck >/dev/null || { echo "ok - cppcheck # skip needs cppcheck"; return; }
    version cppcheck 2.10 "$(cppcheck --version | sed 's/.* //')" || return
    # It reads no header of the system: what the sources ask of <stdint.h> and <float.h> is told. Off: readdirCalled, which wants
    # readdir_r; POSIX made readdir safe on a stream of one's own.
    # shellcheck disable=SC2086
    cppcheck -DUINTPTR_MAX=18446744073709551615ul -DUINT64_MAX=18446744073709551615ul -DFLT_EVAL_METHOD=0 --include=tests/long/lint.h --library=posix,gnu --enable=warning,performance,portability --suppress=readdirCalled --std=c11 --quiet -j"$(nproc)" -Isrc -I. '-DPITH_DATADIR="x"' '--template={file}:{line} {id}' --template-location= $sources 2>"$dir/cppcheck.log" >/dev/null
    worked cppcheck $? 'rror: ' "$dir/cppcheck.log"
    grep -E '^[a-z_/]+\.[a-z]+:[0-9]+ ' "$dir/cppcheck.log" | sort -u >"$dir/cppcheck.found"
    tell cppcheck "cppcheck is content" "$dir/cppcheck.found"
}
lint_shell() {
    command -v shellcheck >/dev/null || { echo "ok - shellcheck # skip needs shellcheck"; return; }
    version shellcheck 0.9.0 "$(shellcheck --version | sed -n 's/^version: //p')" || return
    # Off: SC2010, 2046, 2048: names and lists here are words, and are split on purpose. In bats: SC2154, 2034: variables go
    # from file to file through its load, which is not followed; SC2164: it ends a test whose cd fails.
    grep -rIlE '^#!.*[/ ](ba)?sh$' .ci tests tools 2>/dev/null | sort | xargs shellcheck -S warning -f gcc -x -e SC2010,SC2046,SC2048 >"$dir/shell.log" 2>&1
    shellcheck -S warning -f gcc -e SC2010,SC2046,SC2048,SC2154,SC2034,SC2164 tests/*.bats tests/*.bash tests/long/*.bash >>"$dir/shell.log" 2>&1
    worked shellcheck $(($? > 1)) 'SC1[0-9]*.*error|does not exist' "$dir/shell.log"
    sed -nE 's/^([^:]+):([0-9]+):[0-9]+: [a-z]+: .*\[(SC[0-9]+)\]$/\1:\2 \3/p' "$dir/shell.log" | sort -u >"$dir/shell.found"
    tell shell "shellcheck is content" "$dir/shell.found"
}
bare=$(grep -vE '^(#|$)' "$allow" | grep -vE '^[a-z]+:[^ ]+:[^ ]+:[^ ]+  +[^ ]')
if [ -z "$bare" ]; then echo "ok - every exception has a reason"; else
    echo "not ok - every exception has a reason"
    sed 's/^/#   /' <<<"$bare"
    failed=1
fi
for t in ${*:-gcc tidy cppcheck shell}; do lint_"$t"; done
exit $failed
