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
symbols() { nm -g --defined-only "$1" | awk '$2 ~ /[TDBRCV]/ {print $3}' | grep -vE '^(__|_ZT|\.)'; }
wrong=
for o in $(find "$build/src" "$build/models" "$build/tokenizer" -name '*.o' | sort); do
    stem=$(basename "$o" .o)
    for s in $(symbols "$o"); do
        [[ $s == pith_* || $s == engine_* && $o == $build/src/[a-z]*.o || $s == "$stem" || $s == "${stem}_"* ]] && continue
        wrong+="$o: $s"$'\n'
    done
done
check "external symbols start with their file's stem" "${wrong%$'\n'}"
check "pith_ symbols come only from the files that implement pith.h" "$(for o in $(find "$build/src" "$build/models" "$build/tokenizer" -name '*.o'); do
    [[ $o =~ ^$build/src/[a-z_]+\.o$ ]] || symbols "$o" | grep '^pith_' | sed "s|^|$o: |"
done)"
check "a model file exports exactly one symbol" "$(for o in "$build"/models/*.o; do
    [[ $(symbols "$o") == "$(basename "$o" .o)_arch" ]] || echo "$o: $(symbols "$o" | tr '\n' ' ')"
done)"
check "a kernel set exports exactly one symbol" "$(for o in "$build"/src/compute/kernel_*.o; do
    got=$(symbols "$o")
    [[ -z $got || $got == "$(basename "$o" .o)" ]] || echo "$o: $got"
done)"
check "the shared library shows only pith_ symbols" "$(nm -D --defined-only "$build/libpith.so" | awk '{print $3}' | grep -vE '^(pith_|PITH_[0-9]+$|_init$|_fini$|_edata$|_end$|__bss_start$|$|_?__)')"
check "every public function of pith.h is defined" "$(sed -n 's/^PITH_API.*[ *]\(pith_[a-z0-9_]*\)(.*/\1/p' src/pith.h | while read -r f; do
    nm -D --defined-only "$build/libpith.so" | grep -qw "$f" || echo "$f"
done)"
exit $failed
