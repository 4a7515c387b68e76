#!/bin/bash
# make deb, and what it makes in a bare Debian of its own: installs with what it depends on, works, compiles the header's
# example, and leaves nothing behind when purged. Root only; 400 MB in a temporary folder. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
skip() { echo "ok - Debian's packages # skip: $*"; exit 0; }
[[ ${BUILD:-build} == build ]] || skip "only for the release build"
[[ $(id -u) == 0 ]] || skip "only as root"
PATH=$PATH:/usr/sbin
for tool in debootstrap dpkg-deb lintian; do command -v $tool >/dev/null || skip "no $tool (tools/deps.sh long)"; done
# The Debian that this one is, from where this one comes.
. /etc/os-release
mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null | awk -v r="${VERSION_CODENAME:-}" '$2 == r && /debian/ { print $1; exit }')
[[ ${ID:-} == debian && -n $mirror ]] || skip "not on a Debian with a mirror"
dir=$(mktemp -d /tmp/pith-deb.XXXXXX) failed=0
root=$dir/root
trap 'rm -rf --one-file-system "$dir"' EXIT
check() { # name command...
    if "${@:2}" >"$dir/log" 2>&1; then echo "ok - $1"; else echo "not ok - $1"; tail -20 "$dir/log" | sed 's/^/#   /'; failed=1; fi
}
in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy="$http_proxy"} chroot "$root" "$@"; }
files() { (cd "$root" && find . -xdev | sed 's/^\.//' | LC_ALL=C sort); }

rm -f build/*.deb
check "make deb" make -s deb
debs=(build/pith_*.deb build/libpith0_*.deb build/libpith-dev_*.deb build/pith-dbgsym_*.deb build/libpith0-dbgsym_*.deb)
[[ -e ${debs[0]} ]] || exit 1
# What only a package that Debian itself took could satisfy: a real address, a bug that asked for it.
check "lintian has nothing to say" lintian --allow-root --fail-on error,warning \
    --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs "${debs[@]}"
check "each file has the sum that its package tells" bash -ec 'for d; do x=$(mktemp -d -p "$0"); dpkg-deb -R "$d" "$x"; (cd "$x" && md5sum -c --quiet DEBIAN/md5sums); done' "$dir" "${debs[@]}"
if command -v systemd-analyze >/dev/null; then
    dpkg-deb --fsys-tarfile "${debs[0]}" | tar xO ./lib/systemd/system/pith.service | sed "s|/usr/bin/pith|$PWD/pith|" >"$dir/pith.service"
    check "systemd takes the unit" systemd-analyze verify "$dir/pith.service"
else
    echo "ok - systemd takes the unit # skip: no systemd-analyze"
fi

check "a bare Debian" debootstrap --variant=minbase "$VERSION_CODENAME" "$root" "$mirror"
((failed == 0)) || exit 1
cp /etc/resolv.conf "$root/etc/"
mkdir "$root/debs"
cp "${debs[@]}" "$root/debs/"
files >"$dir/before"
check "apt-get installs it with what it depends on" in_root sh -c 'apt-get -qq --no-install-recommends install /debs/pith_*.deb'
check "pith help" in_root sh -c 'pith help | grep -q classify'
check "it finds its models, though there is no /proc" in_root sh -c 'cd / && [ ! -e /proc/self ] && pith classify "A wonderful film." | grep ^POSITIVE'
check "every file is as packed" in_root sh -c '[ -z "$(dpkg --verify pith)" ]'
check "the unit is there and not enabled" in_root sh -c '[ -f /lib/systemd/system/pith.service ] && ! find /etc/systemd -name "pith*" | grep .'
{
    printf '%s\n' '#include <pith.h>' '#include <stdio.h>' 'int main(int argc, char **argv) { (void)argc;'
    sed -n '/^ \*     pith_err e/,/^ \*     pith_model_close/s/^ \*//p' src/pith.h | sed 's|"path/to/model"|argv[1]|'
    echo 'return 0; }'
} >"$root/debs/example.c"
check "libpith-dev, with a compiler" in_root sh -c 'apt-get -qq --no-install-recommends install gcc pkg-config /debs/libpith*.deb'
check "the header's example builds" in_root sh -c 'cd /debs && cc -Wall -Werror example.c -o example $(pkg-config --cflags --libs pith)'
check "and says what the command says" in_root sh -c '/debs/example /usr/share/pith/sentiment | grep ^POSITIVE'
check "gdb comes, and what it wants" in_root sh -c 'apt-get -qq --no-install-recommends install gdb-minimal /debs/*-dbgsym_*.deb'
line() { in_root gdb -batch -ex "info line $1" "$2"; } # function file
check "by which it finds lines of the command" bash -c 'echo "$1"; [[ $1 == "Line "*" of \"src/cli/main.c\""* ]]' _ "$(line main /usr/bin/pith 2>&1)"
check "and of the library" bash -c 'echo "$1"; [[ $1 == "Line "*" of \"src/classify.c\""* ]]' _ \
    "$(line pith_classify "$(in_root sh -c 'echo /usr/lib/*/libpith.so.0')" 2>&1)"
check "apt-get purges it" in_root apt-get -qq purge pith libpith0 libpith-dev pith-dbgsym libpith0-dbgsym
# What is there now, was not before and belongs to no package, but for the books of dpkg, apt and ldconfig and the links of
# the compiler's alternatives, and what ucf keeps of gdb's readline.
files >"$dir/after"
in_root sh -c 'cat /var/lib/dpkg/info/*.list' | sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,' | LC_ALL=C sort -u >"$dir/owned"
left=$(LC_ALL=C comm -13 "$dir/before" "$dir/after" | grep -vE '^/(debs|var/lib/(dpkg|apt|ucf)|var/cache|var/log|etc/inputrc)(/|$)' | LC_ALL=C comm -23 - "$dir/owned" |
    while read -r f; do [[ -L $root$f && $(readlink "$root$f") == /etc/alternatives/* || $f == /etc/alternatives/* ]] || echo "$f"; done)
check "and nothing is left" bash -c 'echo "$1"; [[ -z $1 ]]' _ "$left$(find "$root" -xdev -name '*pith*' ! -path "$root/debs/*" ! -path "$root/var/*")"
exit $failed
