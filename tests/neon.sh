#!/bin/bash
# The arm64 build on this machine: Debian's cross compiler, its arm64 libraries (fetched once with apt into the build
# folder, the system's own package lists untouched) and qemu's user emulation. The kernels' tests run there, on a CPU that
# has everything; then the tiny models' logits must have the same hash as here, on that and on others that have less.
# A minute and a half: NEON=1 (make neon, CI) has it done. NEON_LONG=1 (tests/long/neon.sh): more tests, on every CPU, and
# every model as every type and on every set.
# Speaks TAP; skips, saying why, where something is missing.
set -u
cd "$(dirname "$0")/.." || exit 1
skip() { echo "ok - neon # skip: $*"; exit 0; }
[[ ${NEON:-}${NEON_LONG:-} ]] || skip "an arm64 build under emulation takes a minute and a half: make neon"
[[ ${BUILD:-build} == build ]] || skip "only beside the release build"
[[ $(uname -m) == x86_64 ]] || skip "cross build from x86-64 only"
for tool in aarch64-linux-gnu-gcc qemu-aarch64-static apt-get dpkg pkg-config; do
    command -v "$tool" >/dev/null || skip "no $tool"
done
[[ -e /usr/aarch64-linux-gnu/include/stdio.h ]] || skip "no libc6-dev-arm64-cross"

root=$PWD/build/neon sys=$PWD/build/neon/sysroot
fetch() {
    local tmp=$root/apt rc
    mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial" "$sys" || return
    # From where this machine has its own packages.
    local apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
        -o Dir::State::Lists="$tmp/lists" -o Dir::Cache="$tmp/cache" -o Dir::State::status=/dev/null)
    "${apt[@]}" update && (cd "$tmp" && "${apt[@]}" download libcmocka0 libcmocka-dev libcjson1 libcjson-dev \
        libutf8proc2 libutf8proc-dev libxxhash0 libxxhash-dev libpcre2-8-0 libpcre2-dev libedit2 libedit-dev libbsd0 \
        libmd0 libtinfo6 zlib1g zlib1g-dev libnettle8 nettle-dev libmicrohttpd12 libmicrohttpd-dev \
        libgnutls30 libhogweed6 libgmp10 libp11-kit0 libffi8 libidn2-0 libunistring2 libtasn1-6) &&
        for deb in "$tmp"/*.deb; do dpkg -x "$deb" "$sys" || return; done
    rc=$?
    rm -rf "$tmp"
    return $rc
}
if [[ ! -e $sys/done-4 ]]; then
    mkdir -p "$root"
    fetch >"$root/apt.log" 2>&1 || skip "cannot fetch Debian's arm64 libraries: $(tail -1 "$root/apt.log")"
    touch "$sys/done-4"
fi

lib=$sys/usr/lib/aarch64-linux-gnu
export PKG_CONFIG_LIBDIR=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$sys
tests=(kernel quant)
[[ -z ${NEON_LONG:-} ]] || tests+=(tensor kernel_portable op rope kv moe)
if ! make -j"$(nproc)" CC=aarch64-linux-gnu-gcc BUILD=build/neon CFLAGS="-O2 -isystem $sys/usr/include" \
    LDFLAGS="-L$lib -Wl,-rpath-link,$lib:$sys/lib/aarch64-linux-gnu" build/neon/pith "${tests[@]/#/build/neon/tests/test_}" >"$root/make.log" 2>&1; then
    echo "not ok - neon: cross build"
    tail -20 "$root/make.log" | sed 's/^/#   /'
    exit 1
fi
echo "ok - neon: cross build without a warning"
unset PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
arm() { qemu-aarch64-static -cpu "$cpu" -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$lib:$sys/lib/aarch64-linux-gnu" "$@"; }

export CMOCKA_MESSAGE_OUTPUT=TAP PITH_TEST_QUICK=1
rc=0
bad() { echo "not ok - neon: $*"; rc=1; }
# Every set that the CPU has got runs; an instruction that it has not would end the program.
run_test() { # name
    arm "build/neon/tests/test_$1" 2>&1 | grep -vE '^1\.\.|^# (not )?ok' | sed -E "s/^((not )?ok [0-9]+) - /\1 - neon, $cpu: /"
    ((PIPESTATUS[0] == 0)) || bad "test_$1 on $cpu ended with failures"
}
ids_of() { echo "tests/golden/expected/${1##*/}/ids.jsonl"; }
hash_here() { "${PITH:-./pith}" logits -q -m "$1" --ids-file "$(ids_of "$1")" --dtype "$2" --hash 2>&1; } # model type
hash_there() { arm build/neon/pith logits -q -m "$1" --ids-file "$(ids_of "$1")" --dtype "$2" --hash "${@:3}" 2>&1; }
same_hash() { # model type [--kernels set]
    local here there what
    what="${1##*/}, logits of $(wc -l <"$(ids_of "$1")") sequences hash as on x86-64 (--dtype $2${3:+, set $4}, $cpu)"
    here=$(hash_here "$1" "$2") && there=$(hash_there "$@")
    if [[ -n $here && $here == "$there" ]]; then echo "ok - neon: $what"; else bad "$what: x86-64 '$here', arm64 '${there-}'"; fi
}

# Cortex-A53 has no dot products of bytes (ARMv8.2), Neoverse N1 no products of matrices of bytes (ARMv8.6).
declare -A sets=([max]="neoni8mm neondot neon" [neoverse-n1]="neondot neon" [cortex-a53]="neon")
one=tests/golden/models/distilbert-f32
for cpu in max neoverse-n1 cortex-a53; do
    if [[ $cpu == max || -n ${NEON_LONG:-} ]]; then
        for t in "${tests[@]}"; do run_test "$t"; done
    fi
    best=${sets[$cpu]%% *}
    said=$(arm build/neon/pith logits -v -m $one --ids 1 --hash 2>&1)
    if [[ $said == *", kernels $best, "* ]]; then echo "ok - neon: $cpu chooses $best"; else bad "$cpu should choose $best: $said"; fi
    for set in neoni8mm neondot neon; do
        if [[ " ${sets[$cpu]} " == *" $set "* ]]; then
            same_hash $one q8 --kernels $set
        else
            said=$(hash_there $one q8 --kernels $set)
            if [[ $said == *"kernel set '$set': this CPU cannot run it; it can run: ${sets[$cpu]// /, }, generic"* ]]; then
                echo "ok - neon: $cpu is not offered $set"
            else
                bad "$cpu should not be offered $set: $said"
            fi
        fi
    done
done
cpu=max turn=0
for m in tests/golden/models/*; do
    for type in auto q8 q4; do
        [[ $((turn++ % 4)) == 0 || -n ${NEON_LONG:-} ]] || continue
        same_hash "$m" $type
        [[ -n ${NEON_LONG:-} && $type != auto ]] || continue
        for set in neondot neon generic; do same_hash "$m" $type --kernels $set; done
    done
done
exit $rc
