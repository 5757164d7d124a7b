#!/usr/bin/env bash
# Reading images for training, on one thread: Facet beside torchvision with Pillow, in turns, on the same files.
#
#   bench/images_against_torchvision.sh [--rounds N] FOLDER...
#
# Each FOLDER holds class folders of JPEG files. From every file to a random part resized to 299 x 299, mirrored half of the time,
# normalised, in fp32. The table on stdout shows medians over the rounds (3 by default), and as the ratio the median of the ratios
# within each round. Needs Debian's python3-torch, python3-torchvision and python3-pil (tools/install_packages.sh --peers).
# FACET_BUILD: folder of the programs; build by default.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${FACET_BUILD:-$here/../build}
rounds=3
if [ "${1:-}" = "--rounds" ]; then
    rounds=$2
    shift 2
fi
[ $# -gt 0 ] || { sed -n '2,/^set/ s/^# \{0,1\}//p' "$0" >&2; exit 2; }

speed() { sed 's/.*"images_per_second": \([0-9.]*\).*/\1/'; }
median() { sort -n | awk '{x[NR] = $1} END {print NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2}'; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "| pictures | Facet, img/s | torchvision with Pillow, img/s | ratio |"
echo "|---|---|---|---|"
for folder; do
    : >"$work/ours"
    : >"$work/theirs"
    for _ in $(seq "$rounds"); do
        "$build/ft-bench" images "$folder" --json | speed >>"$work/ours"
        /usr/bin/python3 -W ignore "$here/peers/images_torchvision.py" "$folder" | speed >>"$work/theirs"
    done
    ratio=$(paste "$work/ours" "$work/theirs" | awk '{print $1 / $2}' | median)
    printf '| %s | %.0f | %.0f | %.2f |\n' "$folder" "$(median <"$work/ours")" "$(median <"$work/theirs")" "$ratio"
done
