#!/bin/bash
# Arithmetic on numbers from files goes through base/checked.h: reads the rooms that read files (see arithmetic.py), and
# first whether it finds what was planted. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "ok - arithmetic # skip needs python3"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
check() { # name, offenders
    if [[ -z $2 ]]; then echo "ok - $1"; else
        echo "not ok - $1"
        sed 's/^/#   /' <<<"$2"
        failed=1
    fi
}
cat >"$dir/planted.c" <<'C'
#include <stdint.h>
typedef struct header { uint64_t offset, sizes[4]; size_t n; } header;
static uint64_t get64(const char *p);
static size_t bad(const header *h, uint64_t count, const uint64_t *shape, char *base)
{
    uint64_t end = h->offset + 8;                /* 6: a field */
    size_t bytes = (size_t)count * sizeof(float); /* 7: a parameter behind a cast */
    end += get64("");                            /* 8: what a function returns */
    end = 2 * h->sizes[1];                       /* 9: an element of a field */
    end = 1 << shape[0];                         /* 10: an element of a parameter */
    base = base + *shape;                        /* 11: behind a pointer */
    return bytes + h->n;
}
static size_t good(const header *h, const uint64_t *shape, size_t n)
{
    uint64_t r;
    if (checked_add(h->offset, 8, &r)) return 0;
    if (h->offset) *(&r) = 0;
    shape = shape + n; /* a place in an array that lies in memory */
    return n * 2 + h->n + (size_t)(r / 2);
}
C
found=$($python tests/arithmetic.py /dev/null "$dir/planted.c" | sed -n 's/.*  line \([0-9]*\),.*/\1/p' | sort -nu | tr '\n' ' ')
check "violations that were planted are found, and nothing else" "$([[ $found == "6 7 8 9 10 11 " ]] || echo "found in lines $found, planted in 6 to 11")"
echo "a.c:f:n  was once" >"$dir/allow"
echo "a.c:g:n" >>"$dir/allow"
check "an exception without a reason, or without a use, is told" "$(n=$($python tests/arithmetic.py "$dir/allow" "$dir/planted.c" | grep -cE 'has no reason|not there any more'); [[ $n == 3 ]] || echo "told $n times")"
files=$(ls src/formats/*.c src/base/{json,csv}.c src/{model,manifest,settings,modules,weights,weights_write,verify_files,verify_packed,verify_tokenizer}.c tokenizer/*.c |
    grep -vE 'tokenizer/jinja|formats/writer') # a template's numbers are Python's, without bounds; the writer's are pith's own
# shellcheck disable=SC2086
check "numbers from files are added, multiplied and shifted by checked.h only ($(grep -cvE '^(#|$)' tests/arithmetic.allow) exceptions, each with its reason)" "$($python tests/arithmetic.py tests/arithmetic.allow $files)"
exit $failed
