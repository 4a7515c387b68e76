#!/bin/bash
# Builds the libraries that the library and the command line need from Debian's source packages, for a C library or machine
# that Debian has no packages of them for: static, position independent, with .pc files, and cmocka for the tests.
# usage: CC=musl-gcc [HOST=riscv64-linux-gnu] tools/sources.sh PREFIX     (sources are kept in build/sources)
#        PACKAGES=cjson tools/sources.sh PREFIX     only cJSON, the one that Debian has no static library of
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
prefix=$(cd "$1" && pwd) sources=$PWD/build/sources
export CC=${CC:-cc} CFLAGS="-O2 -fPIC" AR=${AR:-ar} RANLIB=${RANLIB:-ranlib}
host=${HOST:+--host=$HOST}
packages=${PACKAGES:-cjson utf8proc xxhash pcre2 zlib nettle cmocka}
[ ! -e "$prefix/done" ] || exit 0

# apt looks into a list and an index of its own: the system's stay as they are.
fetch() {
    local apt=$sources/apt
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    mkdir "$apt/sources"
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        case $f in # the sources of Debian's packages here
        *.list) sed -n 's/^deb \(.*debian.*\)/deb-src \1/p' "$f" 2>/dev/null >>"$apt/sources/pith.list" || true ;;
        *.sources) awk -v RS= -v ORS='\n\n' '/URIs:[^\n]*debian/' "$f" | sed 's/^Types:.*/Types: deb-src/' >>"$apt/sources/pith.sources" ;;
        esac
    done
    set -- -qq -o APT::Sandbox::User=root -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/sources"
    apt-get "$@" update
    # shellcheck disable=SC2086
    (cd "$apt" && for p in $packages; do
        # Mirrors may tell of a newer source than they have: then the one that the release came with.
        apt-get "$@" --only-source source "$p" || apt-get "$@" --only-source source "$p/$(. /etc/os-release && echo "$VERSION_CODENAME")" || exit 1
    done)
    for p in $packages; do mv "$apt/$p"-*/ "$sources/$p"; done
    rm -rf "$apt"
}
[ -e "$sources/${packages##* }" ] || { rm -rf "$sources" && mkdir -p "$sources" && fetch; }

work=$prefix/work
rm -rf "$work"
mkdir -p "$work" "$prefix/include/cjson" "$prefix/lib/pkgconfig"
plain() { # library, folder, files, flags: a library of a few files, which needs no configure
    for f in $3; do
        "$CC" $CFLAGS -I"$sources/$2" "${@:4}" -c "$sources/$2/$f" -o "$work/${f##*/}.o"
        "$AR" rcs "$prefix/lib/lib$1.a" "$work/${f##*/}.o"
    done
    printf 'Name: %s\nDescription: %s\nVersion: 0\nLibs: -L%s/lib -l%s\nCflags: -I%s/include\n' "$1" "$1" "$prefix" "$1" "$prefix" \
        >"$prefix/lib/pkgconfig/${pc:-lib$1}.pc"
}
copy() { cp -r "$sources/$1" "$work/$1" && cd "$work/$1"; }
plain cjson cjson cJSON.c
cp "$sources/cjson/cJSON.h" "$prefix/include/cjson/"
[ "$packages" != cjson ] || { rm -rf "$work" && touch "$prefix/done" && exit 0; }
plain utf8proc utf8proc utf8proc.c
cp "$sources/utf8proc/utf8proc.h" "$prefix/include/"
plain xxhash xxhash xxhash.c
cp "$sources/xxhash/xxhash.h" "$prefix/include/"
pc=nettle plain nettle nettle "sha256.c sha256-compress.c write-be32.c" # SHA-256 is all that is used
mkdir -p "$prefix/include/nettle"
cp "$sources/nettle/"{sha2,nettle-types}.h "$prefix/include/nettle/"
has=$(printf -- '-DHAVE_%s=1 ' ASSERT_H INTTYPES_H SETJMP_H SIGNAL_H STDARG_H STDDEF_H STDINT_H STDIO_H STDLIB_H STRING_H STRINGS_H \
    SYS_STAT_H SYS_TYPES_H TIME_H UNISTD_H CALLOC EXIT FPRINTF FREE LONGJMP SIGLONGJMP MALLOC MEMCPY MEMSET PRINTF SETJMP SIGNAL \
    SNPRINTF STRCMP STRCPY STRSIGNAL VSNPRINTF CLOCK_GETTIME CLOCK_REALTIME STRUCT_TIMESPEC)
: >"$work/config.h"
# shellcheck disable=SC2086
pc=cmocka plain cmocka cmocka src/cmocka.c -I"$work" -I"$sources/cmocka/include" -D_GNU_SOURCE $has
cp "$sources/cmocka/include/"*.h "$prefix/include/"
(copy zlib && ./configure --static --prefix="$prefix" && make -j2 libz.a && make install)
# shellcheck disable=SC2086
(copy pcre2 && ./configure $host --prefix="$prefix" --disable-shared --disable-jit && make -j2 libpcre2-8.la &&
    make install-libLTLIBRARIES install-includeHEADERS install-nodist_includeHEADERS install-pkgconfigDATA)
rm -rf "$work"
touch "$prefix/done"
