#!/bin/bash
# Builds libcjson.a, which Debian does not pack, out of Debian's source package. apt-get fetches and checks that one with lists
# of its own in a temporary folder: nothing of the system's settings changes.
# usage: CC=cc tools/static_cjson.sh FOLDER; leaves libcjson.a, cjson/cJSON.h and libcjson.pc in FOLDER
set -euo pipefail
to=$1
[[ ! -f $to/libcjson.pc ]] || exit 0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/sources" "$tmp/lists/partial" "$tmp/cache/archives/partial"
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    case $f in
    *.list) sed -n 's/^deb \(.*debian.*\)/deb-src \1/p' "$f" 2>/dev/null >>"$tmp/sources/pith.list" || true ;;
    *.sources) awk -v RS= -v ORS='\n\n' '/URIs:[^\n]*debian/' "$f" | sed 's/^Types:.*/Types: deb-src/' >>"$tmp/sources/pith.sources" ;;
    esac
done
apt() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$tmp/sources" -o Dir::State::Lists="$tmp/lists" \
        -o Dir::Cache="$tmp/cache" -o APT::Sandbox::User=root "$@" >>"$tmp/log" 2>&1 ||
        { tail -5 "$tmp/log" >&2; echo "no source of cJSON from apt-get $*" >&2; exit 1; }
}
(cd "$tmp" && apt update && apt source cjson)
mkdir -p "$to/cjson"
source=$(echo "$tmp"/cjson-*/)
"${CC:-cc}" -O2 -fPIC "-ffile-prefix-map=$source=" -c "$source/cJSON.c" -o "$tmp/cJSON.o"
rm -f "$to/libcjson.a"
"${AR:-ar}" rcsD "$to/libcjson.a" "$tmp/cJSON.o"
cp "$source/cJSON.h" "$to/cjson/"
to=$(realpath "$to")
printf '%s\n' "Name: libcjson" "Description: cJSON, to be linked statically" "Version: $(basename "$source" | sed 's/.*-//')" \
    "Libs: $to/libcjson.a -lm" "Cflags: -I$to" >"$tmp/pc"
mv "$tmp/pc" "$to/libcjson.pc"
echo "libcjson.a of Debian's $(basename "$tmp"/cjson_*.dsc .dsc)"
