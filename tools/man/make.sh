#!/bin/sh
# Makes the manual's pages with scdoc: pith(1), a page for each verb out of its table of options, pith(3), pith-formats(5).
# usage: tools/man/make.sh PITH FOLDER
set -eu
pith=$1 out=$2
here=$(dirname "$0")
if ! command -v scdoc >/dev/null 2>&1; then
    echo "no manual: scdoc is not installed" >&2
    exit 0
fi
mkdir -p "$out"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# The date of a page, so that the same source gives the same page.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}"
version=$("$pith" version | sed 's/^pith //')
page() { # name of the page; scdoc's source on stdin
    cat >"$tmp/page"
    scdoc <"$tmp/page" >"$out/$1.new" || { echo "$1: scdoc refuses the page" >&2; exit 1; }
    mv "$out/$1.new" "$out/$1"
}
put() { # mark, command...: what the command prints, in place of the line @MARK@ of stdin
    mark=$1
    shift
    "$@" >"$tmp/$mark"
    sed -e "/^@$mark@\$/{r $tmp/$mark" -e 'd}'
}
header=$here/../../src/pith.h
interface() { sed 's/\\/&&/g' "$header" | awk -f "$here/interface.awk"; }
example() { sed -n '/^ \*     pith_err e/,/^ \*     pith_model_close/s/^ \*     //p' "$header" | sed 's/\\/&&/g'; }

verbs=$("$pith" help --scdoc | sed -n 's/^\*pith-\([a-z]*\)\*(1)$/\1/p')
for v in $verbs; do "$pith" help --scdoc "$v" | page "pith-$v.1"; done
sed "s/@VERSION@/$version/" "$here/pith.1.scd" | put VERBS "$pith" help --scdoc | page pith.1
sed "s/@VERSION@/$version/" "$here/pith.3.scd" | put EXAMPLE example | put INTERFACE interface | page pith.3
sed "s/@VERSION@/$version/" "$here/pith-formats.5.scd" | page pith-formats.5
