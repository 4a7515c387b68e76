#!/bin/bash
# What a user of the library does: make install into a prefix, build the example of pith.h with pkg-config, run it; and
# the installed command finds its bundled model. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
# An uninstrumented program cannot load an instrumented library.
if [[ ${BUILD:-build} != build ]]; then echo "ok - install # skip: only for the release build"; exit 0; fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
check() { # name command...
    local name=$1; shift
    if "$@" >"$dir/log" 2>&1; then echo "ok - $name"; else echo "not ok - $name"; sed 's/^/#   /' "$dir/log"; failed=1; fi
}
check "make install" make -s install PREFIX="$dir/usr"
check "DESTDIR is honoured" make -s install PREFIX=/usr DESTDIR="$dir/stage"
check "the staged tree is whole" test -x "$dir/stage/usr/bin/pith" -a -f "$dir/stage/usr/lib/libpith.a" -a -f "$dir/stage/usr/include/pith.h"
for f in share/bash-completion/completions/pith share/zsh/site-functions/_pith share/fish/vendor_completions.d/pith.fish; do
    check "completion: $f" grep -q classify "$dir/stage/usr/$f"
done
if command -v scdoc >/dev/null; then
    check "the manual" test -f "$dir/stage/usr/share/man/man1/pith.1" -a -f "$dir/stage/usr/share/man/man1/pith-classify.1" \
        -a -f "$dir/stage/usr/share/man/man3/pith.3" -a -f "$dir/stage/usr/share/man/man5/pith-formats.5"
else
    echo "ok - the manual # skip: no scdoc"
fi
check "a path of the stage stands in nothing installed" bash -c '! grep -rqI -- "$1/stage" "$1/stage"' _ "$dir"
touch "$dir/stage/usr/bin/other" "$dir/stage/usr/share/man/man1/other.1"
check "make uninstall" make -s uninstall PREFIX=/usr DESTDIR="$dir/stage"
check "takes all of it away and nothing else" diff <(printf '%s\n' bin/other share/man/man1/other.1) <(cd "$dir/stage/usr" && find . -type f -o -type l | sed 's|^\./||' | sort)
export PKG_CONFIG_PATH=$dir/usr/lib/pkgconfig LD_LIBRARY_PATH=$dir/usr/lib
{
    echo '#include <pith.h>'
    echo '#include <stdio.h>'
    echo 'int main(int argc, char **argv) { (void)argc;'
    # The example in the header's first comment, with the model's path filled in.
    sed -n '/^ \*     pith_err e/,/^ \*     pith_model_close/s/^ \*//p' src/pith.h | sed 's|"path/to/model"|argv[1]|'
    echo 'return 0; }'
} >"$dir/example.c"
cp "$dir/example.c" "$dir/example.cpp"
flags=$(pkg-config --cflags --libs pith)
for how in "gcc c11 c" "clang c11 c" "g++ c++17 cpp -Wno-missing-field-initializers" "clang++ c++17 cpp -Wno-missing-field-initializers"; do
    read -r compiler standard suffix more <<<"$how"
    if ! command -v "$compiler" >/dev/null; then echo "ok - the header's example as $standard # skip: no $compiler"; continue; fi
    check "the header's example builds with $compiler as $standard" "$compiler" -std=$standard -Wall -Wextra -Wpedantic -Wshadow -Werror $more "$dir/example.$suffix" -o "$dir/example" $flags
    check "and says what the command says" bash -c '[[ $("$1/example" "$1/usr/share/pith/sentiment") == POSITIVE* ]]' _ "$dir"
    rm -f "$dir/example"
done
check "it links statically too" cc -std=c11 "$dir/example.c" -o "$dir/static" $(pkg-config --cflags pith) "$dir/usr/lib/libpith.a" \
    $(pkg-config --libs --static pith | sed 's/-lpith//') -fopenmp
classify() { # what the command says from another folder; its path, assignments of the environment...
    (cd / && [[ $(env "${@:2}" "$1" classify "A wonderful film.") == POSITIVE* ]])
}
check "the installed command finds its bundled model" classify "$dir/usr/bin/pith"
(umask 077; make -s install PREFIX=/usr DESTDIR="$dir/narrow") >/dev/null 2>&1
check "whatever the umask, others may read it" bash -c '[[ -f $1/usr/bin/pith && -z $(find "$1/usr" ! -type l ! -perm -o=r -o -type d ! -perm -o=x) ]]' _ "$dir/narrow"
mv "$dir/narrow/usr" "$dir/carried"
check "the tree carried elsewhere finds it still" classify "$dir/carried/bin/pith"
ln -s "$dir/carried/bin/pith" "$dir/link"
check "by a link too" classify "$dir/link"
mv "$dir/carried/share/pith" "$dir/data"
check "without it, it says where it looked" bash -c 'cd / && ! "$1/carried/bin/pith" classify x 2>"$1/said" && grep -q "looked in .*$1/carried/bin/../share/pith" "$1/said"' _ "$dir"
check "PITH_DATA tells where it lies" classify "$dir/carried/bin/pith" PITH_DATA="$dir/data"
exit $failed
