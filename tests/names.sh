#!/bin/bash
# Enforces DESIGN's naming: a file's external symbols start with its stem, public ones with pith_, and a plug-in file
# exports exactly one. Reads the objects of $BUILD. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build} failed=0
check() {
    if [[ -z $2 ]]; then echo "ok - $1"; else
        echo "not ok - $1"
        sed 's/^/#   /' <<<"$2"
        failed=1
    fi
}
# "object symbol" a line, of all objects at once.
all=$(find "$build/src" "$build/models" "$build/tokenizer" -name '*.o' -print0 | sort -z | xargs -0 nm -A -g --defined-only |
    sed -nE 's/^(.*\.o):[0-9a-f]* [TDBRCV] (.*)$/\1 \2/p' | grep -vE ' (__|_ZT|\.)')
[[ $all ]] || { echo "not ok - no objects in $build"; exit 1; }
check "external symbols start with their file's stem" "$(awk -v top="^$build/src/[a-z][^/]*\\\\.o$" '{
    stem = $1; sub(/.*\//, "", stem); sub(/\.o$/, "", stem)
    if ($2 !~ /^pith_/ && !($2 ~ /^engine_/ && $1 ~ top) && $2 != stem && index($2, stem "_") != 1) print $1 ": " $2
}' <<<"$all")"
check "pith_ symbols come only from the files that implement pith.h" "$(awk -v top="^$build/src/[a-z_]+\\\\.o$" '
    $2 ~ /^pith_/ && $1 !~ top { print $1 ": " $2 }' <<<"$all")"
one() { # folder, name of the one symbol
    for o in $1; do
        got=$(awk -v o="$o" '$1 == o { print $2 }' <<<"$all")
        [[ $got == "$(basename "$o" .o)$2" || -z $got && -z $2 ]] || echo "$o: ${got//$'\n'/ }"
    done
}
check "a model file exports exactly one symbol" "$(one "$build/models/*.o" _arch)"
check "a kernel set exports exactly one symbol" "$(one "$build/src/compute/kernel_*.o" "")"
check "the shared library shows only pith_ symbols" "$(nm -D --defined-only "$build/libpith.so" | awk '{print $3}' | grep -vE '^(pith_|PITH_[0-9]+$|_init$|_fini$|_edata$|_end$|__bss_start$|$|_?__)')"
defined=$(nm -D --defined-only "$build/libpith.so" | awk '{ print $3 }' | sed 's/@.*//')
check "every public function of pith.h is defined" "$(sed -n 's/^PITH_API.*[ *]\(pith_[a-z0-9_]*\)(.*/\1/p' src/pith.h | grep -vxF "$defined")"
exit $failed
