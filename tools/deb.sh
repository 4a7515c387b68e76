#!/bin/bash
# Debian's packages out of a build for PREFIX=/usr: pith (the command, its models, manual, unit), libpith0, libpith-dev, and
# what debuggers want of the first two, found by build id: pith-dbgsym, libpith0-dbgsym.
# The same source and SOURCE_DATE_EPOCH (the last commit's time unless set) give the same bytes.
# usage: tools/deb.sh BUILD FOLDER   (`make deb` does both)
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC0
build=$1
mkdir -p "$2"
to=$(realpath "$2")
here=$(realpath "$(dirname "$0")/..")
cd "$here"
version=$(sed -n 's/.*PITH_VERSION "\(.*\)"/\1/p' src/pith.h)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y src/pith.h)}"
export SOURCE_DATE_EPOCH
maintainer="${DEBFULLNAME:-pith developers} <${DEBEMAIL:-pith@localhost}>" # the variables that all of Debian's tools read
debian=$version-1
arch=$(dpkg --print-architecture)
lib=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
stage=$tmp/stage

${MAKE:-make} -s BUILD="$build" PREFIX=/usr LIBDIR="$lib" DESTDIR="$stage" install >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
install -D -m 644 tools/pith.service "$stage/lib/systemd/system/pith.service"
sed -i -e 's|/usr/local/bin/|/usr/bin/|' -e '1s|: copy to .*|; as installed it does not run: `systemctl enable --now pith`.|' "$stage/lib/systemd/system/pith.service"
chmod 644 "$stage$lib/libpith.so.$version"
declare -A build_id
detach() { # package file: takes what a debugger wants out of the file, into the package's dbgsym
    local id its
    id=$(readelf -n "$2" | sed -n 's/^ *Build ID: //p')
    [[ $id == ???* ]] || { echo "deb.sh: $2 has no build id" >&2; exit 1; }
    its=$tmp/$1-dbgsym/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
    mkdir -p "$(dirname "$its")"
    objcopy --only-keep-debug --compress-debug-sections "$2" "$its"
    chmod 644 "$its"
    strip --strip-unneeded -R .comment -R .note "$2"
    build_id[$1]=$id
}
detach pith "$stage/usr/bin/pith"
detach libpith0 "$stage$lib/libpith.so.$version"
strip --strip-debug --enable-deterministic-archives "$stage$lib/libpith.a"
gzip -n9 "$stage"/usr/share/man/man*/*

# What dpkg-shlibdeps, which reads debian/control, says a program needs.
mkdir "$tmp/debian"
printf 'Source: pith\n\nPackage: pith\nArchitecture: any\n' >"$tmp/debian/control"
needs() { (cd "$tmp" && dpkg-shlibdeps -O -e"$1" 2>>"$tmp/log" | sed -n 's/^shlibs:Depends=//p'); }
# Packages that hold what pkg-config looks for, for those who link statically.
dev_needs() {
    local p
    for p in $(sed -n 's/^Requires.private: //p' "$stage$lib/pkgconfig/pith.pc"); do
        dpkg -S "$(pkg-config --variable=pcfiledir "$p")/$p.pc" | sed 's/:.*//'
    done | sort -u | paste -sd, | sed 's/,/, /g'
}

copyright() {
    printf '%s\n' "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/" "Upstream-Name: pith" "" "Files: *"
    sed -n 's/^Copyright (c) /Copyright: /p' LICENSE
    echo "License: Expat"
    sed -e '1,/^Copyright/d' LICENSE | sed -e '1{/^$/d}' -e 's/^$/./' -e 's/^/ /'
}
changelog() {
    printf 'pith (%s) unstable; urgency=medium\n\n  * pith %s, packed from its own source tree.\n\n -- %s  %s\n' "$debian" "$version" \
        "$maintainer" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}
pack() { # package section multi-arch depends description path...; the control file's other fields on stdin
    local name=$1 section=$2 multi=$3 depends=$4 text=$5 root=$tmp/$1 path
    for path in "${@:6}"; do
        mkdir -p "$root/$(dirname "$path")"
        mv "$stage/$path" "$root/$path"
    done
    mkdir -p "$root/usr/share/doc" "$root/DEBIAN"
    if [[ $name == *-dbgsym ]]; then
        ln -s "${name%-dbgsym}" "$root/usr/share/doc/$name"
    else
        mkdir "$root/usr/share/doc/$name"
        copyright >"$root/usr/share/doc/$name/copyright"
        changelog | gzip -n9 >"$root/usr/share/doc/$name/changelog.Debian.gz"
    fi
    (cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    local size
    size=$(find "$root" -path "$root/DEBIAN" -prune -o -type f -printf '%s\n' -o -printf '1\n' | awk '{ n += int(($1 + 1023) / 1024) } END { print n }')
    {
        echo "Package: $name"
        [[ $name == pith ]] || echo "Source: pith"
        printf '%s\n' "Version: $debian" "Architecture: $arch" "Maintainer: $maintainer" "Installed-Size: $size" "Depends: $depends"
        cat
        printf '%s\n' "Section: $section" "Priority: optional" ${multi:+"Multi-Arch: $multi"} "Description: $text"
    } >"$root/DEBIAN/control"
    if [[ $name == libpith0 ]]; then
        echo "libpith 0 libpith0 (>= $version)" >"$root/DEBIAN/shlibs"
        echo "activate-noawait ldconfig" >"$root/DEBIAN/triggers"
    fi
    find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$to/${name}_${debian}_$arch.deb" >/dev/null
    echo "${to#"$here"/}/${name}_${debian}_$arch.deb"
}
about=" pith runs models in Hugging Face folders (BERT-like classifiers and encoders,
 LLaMA-like and other decoders) on the processor: it classifies, embeds,
 scores, generates and checks checkpoints, with the same bits on every machine."
shared=$(cd "$stage$lib" && printf '%s\n' libpith.so.* | sort)
# shellcheck disable=SC2086,SC2046
pack libpith0 libs same "$(needs "$stage$lib/libpith.so.$version")" "inference engine for Hugging Face models - library
${about}
 .
 This package has the shared library." $(printf "$lib/%s " $shared) <<<"Suggests: libopenblas0"
pack libpith-dev libdevel same "libpith0 (= $debian), libc6-dev | libc-dev, $(dev_needs)" "inference engine for Hugging Face models - development
${about}
 .
 This package has the header, the static library and the manual of the
 interface." usr/include "$lib/libpith.a" "$lib/libpith.so" "$lib/pkgconfig" usr/share/man/man3 </dev/null
pack pith science foreign "$(needs "$stage/usr/bin/pith")" "inference engine for Hugging Face models
${about}
 .
 This package has the command, its HTTP server and two small models of
 English sentences: sentiment and reviews." usr/bin usr/share lib/systemd <<<"Suggests: libopenblas0"
debug() { # package multi-arch
    pack "$1-dbgsym" debug "$2" "$1 (= $debian)" "debug symbols for $1" <<<"Auto-Built-Package: debug-symbols
Build-Ids: ${build_id[$1]}"
}
debug pith ""
debug libpith0 same
left=$(find "$stage" -type f -o -type l)
[[ -z $left ]] || { echo "deb.sh: in no package: $left" >&2; exit 1; }
