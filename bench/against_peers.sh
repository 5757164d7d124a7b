#!/usr/bin/env bash
# Facet beside PyTorch and ONNX Runtime on Inception-v3, in turns: other work on the machine hits all of them alike.
#
#   bench/against_peers.sh [--rounds N] [--install] [--quick]
#
# --rounds N  Rounds, each of which runs everything once; 3 by default.
# --install   Installs what is missing: Debian's packages (as root or with sudo), and onnxruntime-node in the user's cache folder.
# --quick     One round of few steps, to see that all is in place; nothing is recorded.
#
# A run counts its best step. The Markdown table on stdout shows medians over the rounds, and as the ratio the median of the ratios
# within each round. The medians are appended to bench/results.csv. FACET_BUILD: folder to build in; build by default.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=3 train_steps=4 infer_steps=8 install=no quick=no
threads=$(nproc)
build=${FACET_BUILD:-build}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/facet-peers
python=/usr/bin/python3 # Debian's own: it has Debian's PyTorch
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() {
    echo "against_peers.sh: $*" >&2
    exit 2
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --rounds)
                [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--rounds needs a number of rounds"
                rounds=$2
                shift
                ;;
            --install) install=yes ;;
            --quick) quick=yes rounds=1 train_steps=1 infer_steps=2 ;;
            --help)
                sed -n '2,/^set/ s/^# \{0,1\}//p' "$0"
                exit 0
                ;;
            *) die "unknown option $1; there are --rounds N, --install, --quick" ;;
        esac
        shift
    done
}

# ---- what is compared

# Row: what | batch | program | the row it is compared with | command. Rows are counted from 0.
rows=()
list_rows() {
    local train="inception_v3 --train --batch 16 --steps $train_steps" infer="inception_v3 --infer --steps $infer_steps"
    rows=(
        "training|16|Facet|0|facet $train --threads $threads"
        "training|16|PyTorch, channels last|0|torch --batch 16 --steps $train_steps"
        "training|16|PyTorch, channels last, bf16|0|torch --batch 16 --steps $train_steps --bf16"
        "inference|8|Facet|3|facet $infer --batch 8 --threads $threads"
        "inference|8|ONNX Runtime|3|onnxruntime 8"
        "inference|8|PyTorch, channels last|3|torch --infer --batch 8 --steps $infer_steps"
        "inference|1|Facet|6|facet $infer --batch 1 --threads $threads"
        "inference|1|ONNX Runtime|6|onnxruntime 1"
        "inference, direct convolutions|8|Facet, avx512|8|facet $infer --batch 8 --threads $threads --direct --isa avx512"
        "inference, direct convolutions|8|Facet, avx2|8|facet $infer --batch 8 --threads $threads --direct --isa avx2"
        "training|16|Facet, 1 thread|0|facet $train --threads 1"
    )
}

field() { # ROW NUMBER
    cut -d'|' -f"$2" <<<"${rows[$1]}"
}

# ---- programs: each prints one JSON object

facet() {
    "$build/ft-bench" model "$@" --json
}

torch() {
    $python bench/peers/torch_inception.py --threads "$threads" "$@"
}

onnxruntime() { # BATCH
    node bench/peers/onnxruntime_inception.js "$cache" "$(onnx_file "$1")" "$1" "$infer_steps" "$threads"
}

onnx_file() { # BATCH
    echo "$cache/inception_v3_batch_$1.onnx"
}

# ---- set-up

install_peers() {
    tools/install_packages.sh --peers
    mkdir -p "$cache"
    if [ ! -d "$cache/node_modules/onnxruntime-node" ]; then
        (cd "$cache" && npm init -y >/dev/null && npm install --ignore-scripts --no-audit --no-fund onnxruntime-node >&2)
    fi
}

build_facet() {
    cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DFACET_SANITIZE= >/dev/null
    cmake --build "$build" --target ft-bench -j "$threads" >/dev/null
}

# The networks for ONNX Runtime; without PyTorch to write them they are missing.
export_networks() {
    local batch file
    mkdir -p "$cache"
    for batch in 1 8; do
        file=$(onnx_file $batch)
        [ -e "$file" ] && continue
        torch --batch $batch --onnx "$file.part" >/dev/null 2>&1 && mv "$file.part" "$file"
    done
}

find_peers() {
    have_torch=no have_onnxruntime=no
    if $python -c 'import torch, torchvision' 2>/dev/null; then have_torch=yes; fi
    if command -v node >/dev/null && [ -d "$cache/node_modules/onnxruntime-node" ]; then
        if [ $have_torch = yes ]; then export_networks || true; fi
        if [ -e "$(onnx_file 1)" ] && [ -e "$(onnx_file 8)" ]; then have_onnxruntime=yes; fi
    fi
    [ $have_torch = yes ] || echo "PyTorch is missing; --install installs it" >&2
    [ $have_onnxruntime = yes ] || echo "ONNX Runtime, or the network written by PyTorch, is missing; --install installs both" >&2
}

present() { # COMMAND ARGUMENT...
    case $1 in
        torch) [ $have_torch = yes ] ;;
        onnxruntime) [ $have_onnxruntime = yes ] ;;
    esac || return
    # Without such instructions PyTorch emulates bfloat16, for minutes a step: no rival.
    if [[ " $* " = *" --bf16 "* ]]; then grep -q bf16 /proc/cpuinfo; fi
}

# ---- runs

value() { # NAME: its number in the JSON object on stdin
    sed -n "s/.*\"$1\": *\([0-9.eE+-]*\).*/\1/p"
}

# Leaves "images_per_second max_rss_mb" of row $1, or "- -", as a line of $work/$1 and the program's version in $work/$1.version.
run_row() {
    local command json result="- -"
    read -ra command <<<"$(field "$1" 5)"
    if present "${command[@]}"; then
        echo "round $round/$rounds: $(field "$1" 1), batch $(field "$1" 2), $(field "$1" 3)" >&2
        if json=$("${command[@]}"); then
            result="$(value images_per_second_best <<<"$json") $(value max_rss_mb <<<"$json")"
            sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' <<<"$json" >"$work/$1.version"
            [ -s "$work/$1.version" ] || facet_version >"$work/$1.version"
        fi
    fi
    echo "$result" >>"$work/$1"
}

facet_version() {
    "$build/ft-bench" --version | sed 's/^[^(]*(\(.*\)) */\1 /'
}

# ---- results

median() { # of the numbers on stdin; nothing of none
    grep -v '^-' | sort -g | awk '{ x[NR] = $1 } END { if (NR) print (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 }'
}

column() { # ROW 1|2
    cut -d' ' -f"$2" "$work/$1" | median
}

# How many times as fast as row $1 the row is that it is compared with.
ratio() {
    local reference
    reference=$(field "$1" 4)
    [ "$reference" -ne "$1" ] || return 0
    paste -d' ' "$work/$reference" "$work/$1" | awk '$1 != "-" && $3 != "-" { print $1 / $3 }' | median
}

shown() { # FORMAT NUMBER
    # shellcheck disable=SC2059  # the format is ours
    if [ -n "$2" ]; then printf "$1" "$2"; else printf -- "-"; fi
}

print_table() {
    local i
    echo "Inception-v3, 299 x 299, $cpu, $threads threads, commit $commit; medians of $rounds rounds."
    echo
    echo "| | batch | | images/s | max RSS, MB | Facet, first of its kind, is this many times as fast |"
    echo "|---|---|---|---|---|---|"
    for i in "${!rows[@]}"; do
        if [ -e "$work/$i.version" ]; then
            printf '| %s | %s | %s | %s | %s | %s |\n' "$(field "$i" 1)" "$(field "$i" 2)" "$(field "$i" 3)" \
                "$(shown %.2f "$(column "$i" 1)")" "$(shown %.0f "$(column "$i" 2)")" "$(shown %.2f "$(ratio "$i")")"
        else
            printf '| %s | %s | %s | missing | | |\n' "$(field "$i" 1)" "$(field "$i" 2)" "$(field "$i" 3)"
        fi
    done
}

record() {
    local i used
    for i in "${!rows[@]}"; do
        [ -e "$work/$i.version" ] || continue
        used=$threads
        if [[ $(field "$i" 5) =~ --threads\ ([0-9]+) ]]; then used=${BASH_REMATCH[1]}; fi
        printf '%s,%s,"%s",%d,%s,"%s: %s",%d,%.3f,%.0f\n' "$(date -u +%FT%TZ)" "$commit" "$cpu" "$used" \
            "$(cat "$work/$i.version")" "$(field "$i" 1)" "$(field "$i" 3)" "$(field "$i" 2)" \
            "$(column "$i" 1)" "$(column "$i" 2)" >>bench/results.csv
    done
}

describe_machine() {
    cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
    commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
    if [ "$commit" != unknown ]; then
        git diff --quiet HEAD -- . ':!bench/results.csv' || commit=$commit+ # with changes of its own
    fi
}

parse "$@"
list_rows
if [ $install = yes ]; then install_peers; fi
build_facet
find_peers
describe_machine
for ((round = 1; round <= rounds; round++)); do
    for i in "${!rows[@]}"; do run_row "$i"; done
done
print_table
if [ $quick = no ]; then record; fi
