#!/bin/bash
# The library's binary interface: only pith_ functions, all under one version; and nothing of the last release is gone or
# has changed (tests/abi/libpith.abi, made by `tests/abi.sh --record` at a release). Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build} abi=tests/abi/libpith.abi failed=0
if [[ $build != build ]]; then echo "ok - the binary interface # skip: only for the release build"; exit 0; fi
lib=$build/libpith.so
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
check() { # what, offenders
    if [[ -z $2 ]]; then echo "ok - $1"; else echo "not ok - $1"; sed 's/^/#   /' <<<"$2"; failed=1; fi
}
# A library of the header alone: every function with no body to speak of. What is private to the real one is not in it.
stub() { # header, library
    {
        echo '#include <stddef.h>'
        awk '/^PITH_API/ {in_it = 1} in_it && /;/ {sub(/;.*/, " { __builtin_unreachable(); }"); in_it = 0} {print}' "$1"
    } >"$dir/stub.c"
    (cd "$dir" && ${CC:-cc} -g -O0 -w -shared -fPIC -Wl,-soname,libpith.so.0 stub.c -o "$2")
}
dump() { stub "$1" "$dir/$2.so" && abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-architecture --no-elf-needed --out-file "$dir/$2.abi" "$dir/$2.so"; }
changes() { abidiff --no-added-syms --no-architecture "$1" "$2" 2>&1; }
if [[ ${1-} == --record ]]; then
    mkdir -p tests/abi
    dump src/pith.h now && cp "$dir/now.abi" $abi
    exit
fi
version=$(sed -n 's/^\(PITH_[0-9]*\) {/\1/p' src/pith.map)
soname=$(readelf -d "$lib" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
check "the soname is that of the version of its symbols" "$([[ $soname == libpith.so.${version#PITH_} ]] || echo "$soname, $version")"
check "every symbol is a pith_ function under $version" "$(nm -D --defined-only --with-symbol-versions "$lib" | awk '{print $2, $3}' | grep -vE "^(T pith_[a-z0-9_]+@@$version|A $version(@@$version)?)\$")"
check "there are as many as pith.h declares" "$(diff <(nm -D --defined-only "$lib" | awk '$2 == "T" {print $3}' | sed 's/@.*//' | sort) \
    <(sed -n 's/^PITH_API.*[ *]\(pith_[a-z0-9_]*\)(.*/\1/p' src/pith.h | sort -u))"
if ! command -v abidiff >/dev/null; then
    echo "ok - nothing of the last release has changed # skip: no abidiff (abigail-tools)"
elif [[ ! -f $abi ]]; then
    echo "ok - nothing of the last release has changed # skip: no release is recorded"
else
    check "the interface can be taken" "$(dump src/pith.h now 2>&1)"
    check "nothing of the last release has changed" "$(out=$(changes $abi "$dir/now.abi") || echo "$out")"
    # The check itself: a member in the middle of a struct, an argument, a function that is gone.
    for change in 's/^    int threads; /    int more; &/' 's/^PITH_API void pith_free(void \*p)/PITH_API void pith_free(void *p, int how)/' '/^PITH_API uint64_t pith_hash/d'; do
        sed "$change" src/pith.h >"$dir/changed.h"
        check "a change would be seen: $change" "$(cmp -s "$dir/changed.h" src/pith.h && echo 'no change'; dump "$dir/changed.h" changed 2>&1; ! changes $abi "$dir/changed.abi" >/dev/null || echo 'not seen')"
    done
fi
exit $failed
