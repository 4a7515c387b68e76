#!/bin/bash
# The arm64 build on this machine: Debian's cross compiler, its arm64 libraries (fetched once with apt into the build
# folder, the system's own package lists untouched) and qemu's user emulation. Kernel, tensor and op tests run there;
# then the tiny models' logits must have the same hash as here. Speaks TAP; skips, saying why, where something is missing.
set -u
cd "$(dirname "$0")/.." || exit 1
skip() { echo "ok - neon # skip: $*"; exit 0; }
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
    # shellcheck disable=SC1091
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $(. /etc/os-release; echo "$VERSION_CODENAME") main" >"$tmp/sources.list"
    local apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
        -o Dir::State::Lists="$tmp/lists" -o Dir::Cache="$tmp/cache" -o Dir::State::status=/dev/null
        -o Dir::Etc::SourceList="$tmp/sources.list" -o Dir::Etc::SourceParts=/dev/null)
    "${apt[@]}" update && (cd "$tmp" && "${apt[@]}" download libcmocka0 libcmocka-dev libcjson1 libcjson-dev \
        libutf8proc2 libutf8proc-dev libxxhash0 libxxhash-dev libpcre2-8-0 libpcre2-dev libedit2 libedit-dev libbsd0 \
        libmd0 libtinfo6 zlib1g zlib1g-dev libnettle8 nettle-dev libmicrohttpd12 libmicrohttpd-dev \
        libseccomp2 libseccomp-dev libgnutls30 libhogweed6 libgmp10 libp11-kit0 libffi8 libidn2-0 libunistring2 libtasn1-6) &&
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
tests=(tensor kernel kernel_portable quant op rope kv moe)
if ! make -j"$(nproc)" CC=aarch64-linux-gnu-gcc BUILD=build/neon CFLAGS="-O2 -isystem $sys/usr/include" \
    LDFLAGS="-L$lib -Wl,-rpath-link,$lib:$sys/lib/aarch64-linux-gnu" build/neon/pith "${tests[@]/#/build/neon/tests/test_}" >"$root/make.log" 2>&1; then
    echo "not ok - neon: cross build"
    tail -20 "$root/make.log" | sed 's/^/#   /'
    exit 1
fi
echo "ok - neon: cross build without a warning"
unset PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
arm() { qemu-aarch64-static -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$lib:$sys/lib/aarch64-linux-gnu" "$@"; }

export CMOCKA_MESSAGE_OUTPUT=TAP PITH_TEST_QUICK=1
rc=0
for t in "${tests[@]}"; do
    arm "build/neon/tests/test_$t" | grep -vE '^1\.\.|^# (not )?ok' | sed -E "s/^((not )?ok [0-9]+) - /\1 - neon: /"
    ((PIPESTATUS[0] == 0)) || { echo "not ok - neon: test_$t ended with failures"; rc=1; }
done
for m in tests/golden/models/*; do
    name=${m##*/}
    ids=tests/golden/expected/$name/ids.jsonl
    for type in auto q8 q4; do
        here=$("${PITH:-./pith}" logits -m "$m" --ids-file "$ids" --dtype $type --hash 2>&1) &&
            there=$(arm build/neon/pith logits -m "$m" --ids-file "$ids" --dtype $type --hash 2>&1)
        if [[ -n $here && $here == "$there" ]]; then
            echo "ok - neon: $name, logits of $(wc -l <"$ids") sequences hash as on x86-64 (--dtype $type)"
        else
            echo "not ok - neon: $name, --dtype $type: x86-64 '$here', arm64 '$there'"
            rc=1
        fi
    done
done
exit $rc
