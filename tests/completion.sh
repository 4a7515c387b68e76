#!/bin/bash
# Completion in bash, zsh and fish: verbs, options, words of choices, bundled models, files. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
pith=$(realpath "${PITH:-./pith}") failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PITH_DATA=$PWD/models/bundled
ln -s "$pith" "$dir/pith"
PATH=$dir:$PATH
mkdir "$dir/work" "$dir/work/folder"
touch "$dir/work/file.csv" "$dir/work/two words.csv"
cd "$dir/work" || exit 1

in_bash() { # line; = is a word of its own, as on a command line
    bash --norc -c 'eval "$(pith completion bash)"; read -ra COMP_WORDS <<<"${1//=/ = }"; [[ $1 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _pith; printf "%s\n" "${COMPREPLY[@]}"' _ "$1"
}
in_fish() { XDG_CONFIG_HOME=$dir XDG_DATA_HOME=$dir fish --no-config -c 'pith completion fish | source; complete -C $argv[1]' "$1" | cut -f1; }
# zsh completes only on a terminal: one of its own, in which a key prints the candidates.
in_zsh() {
    zsh -f -c 'zmodload zsh/zpty; zpty z zsh -f -i
        zpty -w z "PS1=; unsetopt zle_bracketed_paste 2>/dev/null; fpath=('"$dir"'/zsh \$fpath); autoload -Uz compinit; compinit -u -d '"$dir"'/zcompdump; zstyle \":completion:*\" list-colors \"\""
        zpty -w z "compadd() { local -a got; builtin compadd -O got \"\$@\"; (( \$#got )) && print -rl -- \$got >>'"$dir"'/got; builtin compadd \"\$@\"; }; print ready >'"$dir"'/ready"
        repeat 100 { [[ -s '"$dir"'/ready ]] && break; sleep 0.05 }
        zpty -n -w z "$1"$'"'\\t'"'; repeat 40 { sleep 0.05; [[ -s '"$dir"'/got ]] && break }; sleep 0.1; zpty -d z' _ "$1" >/dev/null 2>&1
    cat "$dir/got" 2>/dev/null
    rm -f "$dir/got" "$dir/ready"
}
gives() { # shell, line, words that must be there, words that must not; + is a blank in one
    local got missing=
    # Shells differ in how they write a folder, a blank, and what follows --option=.
    got=$("in_$1" "$2" | sed -E 's/ *$//; s,/$,,; s/^--[a-z-]+=//; s/\\? /+/g')
    for w in $3; do grep -qxF -- "$w" <<<"$got" || missing+=" no:$w"; done
    for w in ${4-}; do ! grep -qxF -- "$w" <<<"$got" || missing+=" too much:$w"; done
    if [[ -z $missing ]]; then echo "ok - $1: $2"; else
        echo "not ok - $1: $2"
        echo "#  $missing; got: $(tr '\n' ' ' <<<"$got" | cut -c1-400)"
        failed=1
    fi
}
for shell in bash zsh fish; do
    if ! command -v $shell >/dev/null; then echo "ok - $shell # skip: no $shell"; continue; fi
    if [[ $shell == zsh ]]; then mkdir "$dir/zsh"; pith completion zsh >"$dir/zsh/_pith"; fi
    if pith completion $shell | $shell -n 2>"$dir/log"; then echo "ok - $shell parses its script"; else echo "not ok - $shell parses its script"; sed 's/^/#   /' "$dir/log"; failed=1; fi
    gives $shell 'pith ' 'classify generate serve help' '--json'
    gives $shell 'pith gen' 'generate' 'classify'
    gives $shell 'pith help ' 'classify verify'
    gives $shell 'pith classify --l' '--long' '--json'
    gives $shell 'pith generate --top' '--top-k --top-p' '--temp'
    gives $shell 'pith classify --long ' 'truncate head-tail window' 'file.csv --json'
    gives $shell 'pith classify -m ' 'sentiment reviews'
    gives $shell 'pith serve --model ' 'sentiment reviews'
    gives $shell 'pith completion ' 'bash zsh fish'
    gives $shell 'pith convert --dtype b' 'bf16' 'f16 file.csv'
    gives $shell 'pith classify --input f' 'file.csv folder' 'sentiment --json two+words.csv'
    gives $shell 'pith classify --input=f' 'file.csv' 'sentiment'
    gives $shell 'pith classify --long=w' 'window' 'file.csv'
    gives $shell 'pith verify f' 'file.csv folder' '--json'
    gives $shell 'pith classify -m fo' 'folder' 'file.csv sentiment'
    gives $shell 'pith classify -f tw' 'two+words.csv' 'file.csv'
done
# The scripts have the options of --help, and no other.
options() { sed -nE 's/^  (-[a-zA-Z], |    )(--[a-z0-9-]+).*/\2/p' | sort; }
declare -A of=(
    [bash]='in_bash "pith $verb --" | sort'
    [zsh]='pith completion zsh | sed -n "/^    $verb)/,/;;\$/p" | grep -oE -- "[{,*'"'"']--[a-z0-9-]+" | sed "s/^.//" | sort'
    [fish]='pith completion fish | sed -nE "s/^complete .*_from $verb'"'"' -l ([a-z0-9-]+).*/--\\1/p" | sort'
)
for shell in bash zsh fish; do
    if ! command -v $shell >/dev/null; then echo "ok - $shell: the options of --help # skip: no $shell"; continue; fi
    differ=$(for verb in $(pith help | sed -n 's/^  \([a-z]*\)  *[^ ].*/\1/p' | grep -vxE 'help|pith|completion'); do
        diff <(pith "$verb" --help | options) <(eval "${of[$shell]}") | sed -n "s/^[<>]/$verb: &/p"
    done)
    if [[ -z $differ ]]; then echo "ok - $shell: the options of --help, and no other"; else echo "not ok - $shell: the options of --help, and no other"; sed 's/^/#   /' <<<"$differ" | head -20; failed=1; fi
done
exit $failed
