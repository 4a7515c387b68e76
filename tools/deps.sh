#!/bin/sh
# Installs the Debian packages that building ("build"), testing ("test"), the race detector ("tsan"), the pages of
# `pith inspect --html` and `pith serve` in a browser ("browser"), `make deb`, `make static` and `make test-long` ("long") need,
# where they are missing.
# On other systems it names what is missing and leaves the installing to you.
set -eu
build="gcc:gcc libc6-dev:/usr/include/stdio.h pkg-config:pkg-config libcjson-dev:pc=libcjson libutf8proc-dev:pc=libutf8proc libxxhash-dev:pc=libxxhash libpcre2-dev:pc=libpcre2-8 libedit-dev:pc=libedit zlib1g-dev:pc=zlib nettle-dev:pc=nettle libmicrohttpd-dev:pc=libmicrohttpd libseccomp-dev:pc=libseccomp"
test="curl:curl g++:g++ libcmocka-dev:pc=cmocka bats:bats python3:python3 libopenblas0-pthread:lib=libopenblas.so.0 gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc libc6-dev-arm64-cross:/usr/aarch64-linux-gnu/include/stdio.h qemu-user-static:qemu-aarch64-static scdoc:scdoc man-db:man zsh:zsh fish:fish abigail-tools:abidiff parallel:parallel"
tsan="clang:clang libomp-dev:lib=libarcher.so libclang-rt-14-dev:lib=libclang_rt.tsan-x86_64.a"
deb="dpkg-dev:dpkg-shlibdeps binutils:strip scdoc:scdoc"
static="dpkg-dev:dpkg-source binutils:strip patch:patch"
long="clang:clang libomp-dev:lib=libarcher.so libclang-rt-14-dev:lib=libclang_rt.fuzzer-x86_64.a valgrind:valgrind musl-tools:musl-gcc gcc-riscv64-linux-gnu:riscv64-linux-gnu-gcc libc6-dev-riscv64-cross:/usr/riscv64-linux-gnu/include/stdio.h dpkg-dev:dpkg-source debootstrap:/usr/sbin/debootstrap lintian:lintian clang-tidy:clang-tidy cppcheck:cppcheck shellcheck:shellcheck slurm-wlm:/usr/sbin/slurmctld libopenmpi-dev:pc=ompi-c openmpi-bin:mpirun"
browser="chromium:chromium chromium-driver:chromedriver"
have() {
    case $1 in
    /*) [ -e "$1" ] ;;
    pc=*) command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "${1#pc=}" ;;
    lib=*) find /usr/lib /usr/local/lib -name "${1#lib=}" 2>/dev/null | grep -q . ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}
want=
for tier in ${*:-build}; do
    case $tier in
    build) list=$build ;;
    test) list=$test ;;
    tsan) list=$tsan ;;
    long) list=$long ;;
    browser) list=$browser ;;
    deb) list=$deb ;;
    static) list=$static ;;
    *) echo "deps.sh: unknown tier '$tier' (build, test, tsan, browser, deb, static, long)" >&2; exit 2 ;;
    esac
    for item in $list; do
        have "${item#*:}" || want="$want ${item%%:*}"
    done
done
[ -n "$want" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "pith needs these (Debian's names), please install them:$want" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "please install as root: apt-get install$want" >&2; exit 1; }
    sudo=sudo
fi
echo "installing:$want"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends $want >"$log" 2>&1; }
# shellcheck disable=SC2086
install || { $sudo apt-get update >"$log" 2>&1 && install; } || { tail -5 "$log" >&2; echo "could not install:$want" >&2; exit 1; }
