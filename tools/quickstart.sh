#!/bin/sh
# From a fresh Debian 12 to a trained and evaluated network: installs what is missing, builds, trains a small Inception-style
# network on Fashion-MNIST, evaluates the official 10,000 test images and says where the report is.
set -eu
cd "$(dirname "$0")/.."

tools/install_packages.sh
cmake -S . -B build -DFACET_TESTS=OFF >/dev/null
cmake --build build -j "$(nproc)"

run=runs/fashion_mnist
build/ft-train examples/fashion_mnist.yaml --out "$run" --overwrite
build/ft-eval "$run/best.h5" --data /usr/share/datasets/fashion-mnist --split test --report "$run/test"
echo
echo "The report: $PWD/$run/test/report.html"
