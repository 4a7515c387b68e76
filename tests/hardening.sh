#!/bin/bash
# How the program and the library are built, as their files tell: no fixed address, nothing writable that need not be, no
# code on the stack, overflows noticed, jumps only to where they may go. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
pith=${PITH:-./pith} lib=${BUILD:-build}/libpith.so archive=${BUILD:-build}/libpith.a failed=0
all="pith libpith.so"
if ! command -v readelf >/dev/null; then echo "ok - hardening # skip: no readelf"; exit 0; fi
check() { # name, what is wrong (nothing: it holds)
    if [[ -z $2 ]]; then echo "ok - $1"; else
        echo "not ok - $1"
        sed 's/^/#   /' <<<"$2"
        failed=1
    fi
}
each() { # function: prints what is wrong with $file
    for file in "$pith" "$lib"; do "$@" "$file"; done
}
has() { # readelf's option, pattern, message, file
    readelf -W "$1" "$4" 2>/dev/null | grep -qE "$2" || echo "$4: $3"
}
lacks() {
    readelf -W "$1" "$4" 2>/dev/null | grep -E "$2" | sed "s|^|$4: $3: |"
}
sanitized=
readelf -W --dyn-syms "$pith" | grep -qE '__(asan|tsan|msan|ubsan)_' && sanitized=1
machine=$(readelf -h "$pith" | sed -n 's/^ *Machine: *//p')

check "$all: position independent" "$(each has -h 'Type: *DYN' 'has a fixed address'; has -d 'FLAGS_1.*PIE' 'is no PIE' "$pith")"
check "$all: relocations are done at the start and then read-only" "$(each has -l GNU_RELRO 'no RELRO'; each has -d 'BIND_NOW|Flags:.* NOW' 'binds lazily')"
check "$all: the stack is no code" "$(each has -l 'GNU_STACK .* RW +0x' 'no stack header, or an executable stack')"
check "$all: nothing is writable and code" "$(each lacks -l '^ *LOAD .* RWE ' 'a segment that is both')"
check "$all: no relocation in code" "$(each lacks -d TEXTREL 'text relocations')"
check "$all: libraries only from the system's places" "$(each lacks -d 'R(UN)?PATH' 'searches elsewhere')"
check "$all: a stack overflow is noticed" "$(each has --dyn-syms __stack_chk_fail 'no stack protector')"
if [[ $sanitized ]]; then echo "ok - FORTIFY # skip: a sanitizer's build, which looks at more"
else check "$all: FORTIFY" "$(each has --dyn-syms '__(snprintf|fprintf|vsnprintf|memcpy)_chk' 'no function with a check')"; fi

# The kernels' inner loops too: no object was compiled without.
case $machine in
*X86-64*) note='x86 feature: IBT, SHSTK' ;;
AArch64) note='AArch64 feature: BTI, PAC' ;;
*) note= ;;
esac
if [[ -z $note ]]; then echo "ok - control flow # skip: $machine knows none"
else
    lost=$(readelf -nW "$archive" | awk -v note="$note" '/^File:/ { file = $2 } /feature:/ && index($0, note) { good[file] = 1 } { if (file) seen[file] = 1 }
        END { for (f in seen) if (!good[f]) print f ": not marked " note }' | sort)
    check "libpith.a: every object lets itself be jumped into only where it may ($note)" "$lost"
    # The linker keeps the mark if every object has it, those of the C library and compiler too.
    without=
    for o in Scrt1.o crti.o crtn.o crtbeginS.o; do
        path=$(${CC:-cc} -print-file-name=$o)
        readelf -nW "$path" 2>/dev/null | grep -q "$note" || without+=" $o"
    done
    if [[ $without ]]; then echo "ok - $all: marked so # skip: this system's$without are not, so nothing linked with them can be"
    else check "$all: marked so" "$(each has -n "$note" 'the mark was lost: link with -z cet-report=error to see by which object')"; fi
fi
# Each object that has an array on its stack looks at it.
n=$(nm -A "$archive" 2>/dev/null | awk '/__stack_chk_fail/ { n++ } END { print n + 0 }')
check "libpith.a: $n objects look at their stacks" "$([[ $n -ge 20 ]] || echo "expected at least 20")"
exit $failed
