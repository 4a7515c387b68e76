#!/bin/bash
# make static: one program that runs where nothing else is (a folder of its own as /, with a model and no /proc), with the
# logits of the dynamic one. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
skip() { echo "ok - the static program # skip: $*"; exit 0; }
[[ ${BUILD:-build} == build ]] || skip "only beside the release build"
command -v apt-get >/dev/null || skip "no apt-get, which fetches the source of cJSON"
in_root=(chroot)
[[ $(id -u) == 0 ]] || in_root=(unshare --map-root-user chroot)
"${in_root[@]}" / true 2>/dev/null || skip "neither root nor user namespaces"
pith=$(realpath "${PITH:-./pith}") dir=$(mktemp -d) failed=0
trap 'rm -rf "$dir"' EXIT
check() { # name command...
    if "${@:2}" >"$dir/log" 2>&1; then echo "ok - $1"; else echo "not ok - $1"; tail -20 "$dir/log" | sed 's/^/#   /'; failed=1; fi
}
mkdir "$dir/root"
alone() { "${in_root[@]}" "$dir/root" /pith "$@"; }

rm -f build/pith-static
check "make static" make -s static
check "it needs no library" bash -c '! readelf -d build/pith-static | grep NEEDED && ! readelf -l build/pith-static | grep INTERP'
cp build/pith-static "$dir/root/pith" || exit 1
for m in sentiment reviews; do cp -r "models/bundled/$m" "$dir/root/"; done
for m in tests/golden/models/*; do
    name=${m##*/} ids=tests/golden/expected/${m##*/}/ids.jsonl
    [[ -e $ids ]] || continue
    cp -rL "$m" "$ids" "$dir/root/"
    for type in auto q8; do
        there=$(alone logits -m "/$name" --ids-file /ids.jsonl --dtype $type --threads 2 --hash 2>&1)
        here=$("$pith" logits -m "$m" --ids-file "$ids" --dtype $type --threads 2 --hash 2>&1)
        check "$name ($type): the logits of the dynamic one, in an empty root" bash -c 'printf "%s\n" "$@"; [[ $1 == "$2" && $1 =~ [0-9a-f]{16} ]]' _ "$there" "$here"
    done
done
check "it classifies" bash -c '[[ $1 == POSITIVE* ]]' _ "$(alone classify -m /sentiment 'A wonderful film.')"
check "it generates what the dynamic one does, with threads" bash -c '[[ -n $1 && $1 == "$2" ]]' _ "$(alone generate -m /reviews --max-tokens 8 --seed 7 --threads 4 'The film')" \
    "$("$pith" generate -m models/bundled/reviews --max-tokens 8 --seed 7 --threads 4 'The film')"
check "bundled models beside it, by PITH_DATA" bash -c '[[ $1 == POSITIVE* ]]' _ "$(PITH_DATA=/ alone classify 'A wonderful film.')"
check "serve says why not" bash -c '[[ $1 == *"without the server"* ]]' _ "$(alone serve 2>&1)"
check "so does --kernels openblas" bash -c '[[ $1 == *"not in a static build"* ]]' _ "$(alone classify -m /sentiment --kernels openblas x 2>&1)"
exit $failed
