#!/bin/bash
# The manual: every page is made, man finds nothing to complain about, and what it tells is what the program and the header
# tell. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
pith=${PITH:-./pith} failed=0
for tool in scdoc man; do
    command -v $tool >/dev/null || { echo "ok - the manual # skip: no $tool"; exit 0; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
check() { # what, offenders
    if [[ -z $2 ]]; then echo "ok - $1"; else echo "not ok - $1"; sed 's/^/#   /' <<<"$2"; failed=1; fi
}
check "pages are made" "$(tools/man/make.sh "$pith" "$dir" 2>&1)"
verbs=$("$pith" help | sed -n 's/^  \([a-z]*\)  *[^ ].*/\1/p' | grep -vxE 'help|pith')
check "there is a page for each verb, and no other" \
    "$(diff <(printf 'pith-%s.1\n' $verbs | sort) <(cd "$dir" && ls | grep '^pith-.*\.1$' | sort))"
check "man has no complaint" "$(for f in "$dir"/*; do LC_ALL=C.UTF-8 MANWIDTH=90 man --warnings -E UTF-8 -l -Tutf8 -Z "$f" 2>&1 >/dev/null; done)"
read_page() { LC_ALL=C.UTF-8 MANWIDTH=2000 man -P cat -l "$dir/$1" 2>/dev/null; }
check "a page has the options of --help, and no other" "$(for v in $verbs; do
    diff <("$pith" "$v" --help | sed -nE 's/^  (-[a-zA-Z], |    )(--[a-z0-9-]+).*/\2/p' | sort) \
        <(read_page "pith-$v.1" | sed -n '/^OPTIONS/,/^ENVIRONMENT/p' | sed -nE 's/^ +(-[a-zA-Z], )?(--[a-z0-9-]+)( .*)?$/\2/p' | sort) | sed "s/^/$v: /"
done)"
explanations() { # of a verb: three words of each
    "$pith" "$1" --help | awk '/^Options can also/ {exit} /^ {28}[^ ]/ {sub(/^ +/, " "); printf "%s", $0; next} {printf "\n%s", $0}' |
        sed -nE 's/^  (-[a-zA-Z], |    )--[a-z0-9-]+.{0,60}(  | )([^ ]+ [^ ]+ [^ ]+).*/\3/p' | grep -E '^[a-z]+ [a-z]+ [a-z]+$'
}
check "of which a hundred are looked for" "$(n=$(for v in $verbs; do explanations $v; done | wc -l); ((n > 100)) || echo "$n")"
check "and their explanations" "$(for v in $verbs; do
    page=$(read_page "pith-$v.1" | tr -s ' \n' '  ')
    explanations $v | while read -r words; do [[ $page == *"$words"* ]] || echo "$v: $words"; done
done)"
check "pith(3) has every function of pith.h" "$(page=$(read_page pith.3)
    sed -n 's/^PITH_API.*[ *]\(pith_[a-z0-9_]*\)(.*/\1/p' src/pith.h | while read -r f; do [[ $page == *"$f("* ]] || echo "$f"; done)"
check "backslashes stay" "$(read_page pith.3 | grep -qF 'fprintf(stderr, "%s\n", e.msg)' || echo 'the example of pith(3) lost one')"
exit $failed
