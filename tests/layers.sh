#!/bin/bash
# Enforces DESIGN's include law, the one-door rule of each outside library, and the limits on size. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
check() { # name, offenders (one a line)
    if [[ -z $2 ]]; then echo "ok - $1"; else
        echo "not ok - $1"
        sed 's/^/#   /' <<<"$2"
        failed=1
    fi
}
failed=0
sources=$(find src models tokenizer tools tests -name '*.[ch]' -o -name '*.inc' -o -name '*.def' | sort)

# room of a file, and the headers that files of that room may include ("" quotes; globs)
allowed() {
    case $1 in
    src/pith.h) echo "" ;;
    src/base/err.h) echo "pith.h base/*" ;;
    src/base/*) echo "base/*" ;;
    src/compute/op.*|src/compute/kv.*|src/compute/mlp.*|src/compute/rope.*|src/compute/moe.*|src/compute/sample.*) echo "base/* compute/mlp.h compute/op.h compute/kv.h compute/rope.h compute/moe.h compute/sample.h compute/kernel.h compute/quant.h compute/tensor.h" ;;
    src/compute/*) echo "base/* compute/kernel* compute/quant.h compute/tensor.h" ;;
    src/formats/bind.*) echo "base/* formats/* compute/quant.h compute/tensor.h" ;; # the shapes of packed weights
    src/formats/*) echo "base/* formats/* compute/tensor.h" ;;
    tokenizer/*) echo "base/* tokenizer/*" ;;
    models/*.def) echo "" ;;
    models/*) echo "base/* model.h causal.h compute/op.h compute/mlp.h compute/kv.h compute/rope.h compute/moe.h formats/bind.h" ;;
    src/causal.*) echo "base/* model.h causal.h compute/op.h compute/mlp.h compute/kv.h compute/rope.h formats/bind.h" ;;
    src/model.*) echo "base/* model.h models/archs.def compute/op.h compute/kv.h compute/rope.h formats/bind.h" ;;
    src/cli/*|src/server/*) echo "pith.h base/* cli/* server/*" ;;
    tools/bench*) echo "pith.h base/* compute/* tokenizer/tokenizer.h" ;; # a benchmark measures the inside
    tools/*) echo "pith.h base/*" ;;
    tests/*) echo "*" ;;
    src/template.c) echo "engine.h base/mem.h tokenizer/chat.h" ;;
    src/verify*|src/manifest*) echo "pith.h engine.h verify.h manifest.h values.h base/* compute/* formats/* tokenizer/tokenizer.h" ;;
    src/*) echo "pith.h engine.h stream.h values.h model.h base/* compute/* formats/* tokenizer/tokenizer.h" ;; # the engine
    esac
}
set -f
offenders=$(for f in $sources; do
    rules=$(allowed "$f")
    sed -n 's/^[[:space:]]*#[[:space:]]*include "\([^"]*\)".*/\1/p' "$f" | while read -r inc; do
        good=
        for r in $rules; do [[ $inc == $r ]] && good=1; done
        [[ $good ]] || echo "$f includes $inc"
    done
done)
check "each room includes only what lies below it" "$offenders"

door() { # what, pattern, the one file
    check "$1 is met only in $3" "$(grep -nE "$2" $sources | grep -vE "^$3:" | grep -vE "^(tests|tools)/")"
}
door cJSON '#include <cjson' src/base/json.c
door utf8proc '#include <utf8proc' tokenizer/unicode.c
door PCRE2 '#include <pcre2' tokenizer/regex.c
door OpenMP '#include <omp|pragma omp (parallel|for|task|single|critical)' src/base/par.c
door xxhash '#include <xxhash' src/base/digest.c
door nettle '#include <nettle' src/base/digest.c
door zlib '#include <zlib' src/formats/zip.c
door libedit '#include <(histedit|editline)' src/cli/edit.c
door libmicrohttpd '#include <microhttpd' src/server/http.c
door MPI '#include <mpi' src/cli/mpi.c
door libseccomp '#include <seccomp' src/server/sandbox_rules.c
door Landlock 'SYS_landlock' src/cli/landlock.c
library=$(grep -vE '^(src/cli|src/server|tools|tests)/' <<<"$sources")
check "the library takes memory only in src/base/mem.c" "$(grep -nE '(^|[^_a-zA-Z0-9.>])(malloc|calloc|realloc|reallocarray|free|strdup|strndup|posix_memalign|aligned_alloc|asprintf|vasprintf|getline|open_memstream) *[(,]' $library |
    grep -vE '^src/base/mem\.[ch]:|^src/pith.h|^[^:]*:[0-9]+: *(/?\*|.*/\*.*\b(free|malloc)[(,])|"[^"]*\bfree,')"
door "the system's name" '__(linux|APPLE|FreeBSD|NetBSD|OpenBSD|DragonFly)__|_WIN32' 'src/(base/platform|cli/landlock)[.]c'
door "what only some systems have" '(^|[^a-z_])(renameat2|fallocate|syncfs|sync_file_range|getrandom|getauxval|qsort_r|memfd_create|sched_[gs]etaffinity|sched_getcpu|prctl|mremap|posix_fadvise) *\(|/proc/|MADV_HUGEPAGE|O_TMPFILE|O_PATH' 'src/(base/platform[.]c|cli/(landlock|confine)[.]c|server/[a-z_]+[.]c)' # the server: Linux
door "the exit of a process" '(^|[^_a-z])(exit|abort|_exit) *\(' 'src/cli/(main|guard).c' # guard: signal handlers
check "the library prints nothing" "$(grep -nE '(^|[^a-z_])(printf|puts|perror) *\(|std(out|err)' $(grep -vE '^(src/cli|src/server|tools|tests)/' <<<"$sources") | grep -v '^src/pith.h:[0-9]*: \*')"

check "files have at most 700 lines" "$(for f in $sources; do n=$(wc -l <"$f"); ((n <= 700)) || echo "$f: $n lines"; done)"
check "each makefile has at most 150 lines" "$(wc -l Makefile $(find tests tools -name "*.mk") | awk '$2 != "total" && $1 > 150')"
check "functions have at most 80 lines (a forward 160)" "$(awk '
    FNR == 1 { open = 0 }
    /^[a-zA-Z_].*[)]$/ || /^[ ].*[)]$/ && !open { name = $0 }
    /^[{]/ { start = FNR; open = 1 }
    /^[}]/ && open { n = FNR - start; max = name ~ /forward/ ? 160 : 80
        if (n > max) print FILENAME ":" start ": " n " lines: " name
        open = 0 }' $(grep -E '\.c$|\.inc$' <<<"$sources"))"
check "the top level holds only what DESIGN names" "$(ls | grep -vxE 'src|models|tokenizer|tests|tools|Makefile|README.md|LICENSE|build|pith')"
check "nothing is left behind" "$(grep -nwE 'TODO|FIXME|XXX|#if 0' $sources)"
exit $failed
