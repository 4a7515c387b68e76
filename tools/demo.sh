#!/bin/sh
# What `make demo` shows: the bundled models at work, each command as it would be typed.
set -eu
cd "$(dirname "$0")/.."
for m in sentiment reviews; do
    if [ ! -e models/bundled/$m/config.json ]; then
        echo "demo: models/bundled/$m is missing from this checkout" >&2
        exit 1
    fi
done
show() {
    printf '\n$ %s\n' "$1"
    sh -c "$1"
}
show './pith classify "A wonderful, moving film." "Two hours I will never get back."'
show 'printf "%s\n" "The best thing I have seen all year." "Great actors, wasted on a lazy script." | ./pith classify'
show './pith classify --explain "The acting is good but the plot is a boring mess."'
show './pith generate "This movie" --seed 4 --max-tokens 60'
show './pith generate "I went to see it because" --seed 3 -n 50 | tr "\n" " " | ./pith classify'
cat <<'T'

Next: ./pith classify -f reviews.csv --column text -o labels.csv     whole files, csv, tsv or jsonl
      ./pith classify -m path/to/model "..."                         any DistilBERT or BERT classifier as downloaded
      ./pith generate -m path/to/model "..."                         any LLaMA-style model; ./pith chat talks with one
      ./pith help classify                                           every option
T
