#!/bin/sh
# Installs the Debian packages that are missing: those to build and use Facet, with --tests also those of the tests, with --peers
# those of bench/against_peers.sh, with --coverage and --valgrind what tests/run.sh needs for these.
# Needs to be root or to have sudo only when something is missing.
set -eu

packages="gcc libc6-dev make cmake pkg-config libopenblas-openmp-dev libhdf5-dev libyaml-dev libjpeg-dev libspng-dev libwebp-dev
zlib1g-dev libjansson-dev libxxhash-dev dataset-fashion-mnist"
if [ "${1:-}" = "--tests" ]; then
    packages="$packages git check clang libclang-rt-dev libomp-dev clang-format strace chromium fonts-dejavu-core"
elif [ "${1:-}" = "--coverage" ]; then
    packages="$packages gcovr"
elif [ "${1:-}" = "--valgrind" ]; then
    packages="$packages valgrind"
elif [ "${1:-}" = "--peers" ]; then
    packages="$packages python3-torch python3-torchvision python3-pil"
    command -v npm >/dev/null || packages="$packages nodejs npm" # another distribution of them conflicts with Debian's
fi

missing=""
for package in $packages; do
    case "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)" in
        *"ok installed") ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "These packages are missing and installing them needs root:$missing" >&2; exit 5; }
    as_root="sudo"
fi
echo "Installing:$missing" >&2
$as_root apt-get update -qq
# shellcheck disable=SC2086  # a list of words on purpose
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
