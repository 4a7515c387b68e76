#!/bin/bash
# Two builds, in two folders, at two times, with two umasks, locales, time zones and homes, give the same bytes: of the
# program, the libraries, the manual and Debian's packages. No compiler cache. Some minutes. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
skip() { echo "ok - reproducible # skip: $*"; exit 0; }
[[ ${BUILD:-build} == build ]] || skip "only for the release build"
command -v dpkg-deb >/dev/null || skip "no dpkg-deb"
dir=$(mktemp -d) failed=0
trap 'rm -rf "$dir"' EXIT
at="/a folder/that is called otherwise" # a name with blanks, and longer
mkdir -p "$dir/one" "$dir/$at"
tar c --exclude=./build --exclude=./pith --exclude=./.git . | tee >(tar x -C "$dir/$at") | tar x -C "$dir/one"
wait
make_in() { # folder umask variable=value...
    (cd "$1" && umask "$2" && env "${@:3}" CCACHE_DISABLE=1 SOURCE_DATE_EPOCH=1700000000 \
        make -s -j"${JOBS:-$(nproc)}" deb) >"$dir/log" 2>&1 && return 0
    echo "not ok - a build in $1"
    tail -20 "$dir/log" | sed 's/^/#   /'
    exit 1
}
sums() { (cd "$1" && sha256sum build/deb/{pith,libpith.so.*,libpith.a,server.a} build/deb/man/* build/*.deb); }
make_in "$dir/one" 022 LC_ALL=C TZ=UTC0 HOME="$dir/one"
ln -s "$dir/$at" "$dir/link"
make_in "$dir/link" 077 LC_ALL=C.UTF-8 TZ=Pacific/Kiritimati HOME=/nonexistent SHLVL=7
sums "$dir/one" >"$dir/sums.one"
sums "$dir/$at" >"$dir/sums.two"
while read -r sum file; do
    other=$(awk -v f="$file" '$2 == f { print $1 }' "$dir/sums.two")
    if [[ $sum == "$other" ]]; then echo "ok - the same bytes: $file"; else echo "not ok - $file: $sum, then $other"; failed=1; fi
done <"$dir/sums.one"
for folder in "$dir/one" "$dir/$at"; do
    if grep -qaF "$dir" "$folder"/build/deb/{pith,libpith.a,libpith.so.*}; then echo "not ok - $folder is told in what was built there"; failed=1; fi
done
exit $failed
