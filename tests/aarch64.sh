#!/bin/sh
# Cross-builds the whole project for aarch64 with warnings as errors and runs tests under QEMU's emulation of the processor: those
# that a few minutes are enough for, of the ops without their large cases. `--full`: all but those that start programs themselves.
#
# Needs Debian 12 or later. Installs the compiler and QEMU when they are missing, as root or by sudo. The arm64 libraries go into a
# folder of the build, so that what is installed on the machine stays as it is.
set -eu
cd "$(dirname "$0")/.."
build=$PWD/build-aarch64
sysroot=$build/sysroot
libraries="libc6-dev libopenblas-openmp-dev libhdf5-dev libyaml-dev libjpeg-dev libspng-dev libwebp-dev zlib1g-dev libjansson-dev
libxxhash-dev check"

install_tools() {
    tools/install_packages.sh
    if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then return; fi
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "gcc-aarch64-linux-gnu and qemu-user are missing: they need root" >&2; exit 5; }
        as_root="sudo"
    fi
    echo "Installing: gcc-aarch64-linux-gnu qemu-user" >&2
    $as_root apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc-aarch64-linux-gnu \
        qemu-user >/dev/null
}

# apt with the state of an arm64 machine where nothing is installed: it downloads all that the packages depend on.
apt_arm64() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)" \
        -o Dir::State::status="$sysroot/apt/status" -o Dir::State::lists="$sysroot/apt/lists" \
        -o Dir::Cache="$sysroot/apt" -o Dir::Cache::archives="$sysroot/apt/archives" "$@"
}

make_sysroot() {
    if [ "$(cat "$sysroot/complete" 2>/dev/null)" = "$libraries" ]; then return; fi
    echo "Filling $sysroot" >&2
    rm -rf "$sysroot"
    mkdir -p "$sysroot/apt/lists/partial" "$sysroot/apt/archives/partial"
    : >"$sysroot/apt/status"
    apt_arm64 update
    # shellcheck disable=SC2086  # a list of words on purpose
    apt_arm64 install -y --no-install-recommends --download-only $libraries >/dev/null
    for deb in "$sysroot"/apt/archives/*.deb; do dpkg-deb -x "$deb" "$sysroot"; done
    rm -rf "$sysroot/apt"

    # What installing would have done: the alternatives' links. And no link may lead out of the folder.
    lib=$sysroot/usr/lib/aarch64-linux-gnu
    ln -s openblas-openmp/libopenblas.so openblas-openmp/libopenblas.so.0 "$lib"
    ln -s ../openblas-openmp/pkgconfig/openblas.pc "$lib/pkgconfig/openblas.pc"
    ln -s hdf5-serial.pc "$lib/pkgconfig/hdf5.pc"
    find "$sysroot" -type l -lname '/*' | while read -r link; do
        ln -sfnr "$sysroot$(readlink "$link")" "$link"
    done
    echo "$libraries" >"$sysroot/complete"
}

install_tools
make_sysroot
jobs=$(nproc)
cmake -S . -B "$build" -DFACET_WERROR=ON -DCMAKE_TOOLCHAIN_FILE="$PWD/tests/aarch64.cmake" -DCMAKE_SYSROOT="$sysroot" >/dev/null
cmake --build "$build" -j "$jobs" >/dev/null

export OMP_WAIT_POLICY=passive CK_TIMEOUT_MULTIPLIER=10
if [ "${1:-}" = "--full" ]; then
    # Those three run ft-* by name, which the kernel would have to know how to emulate.
    set -- -E '^(tools|predict|train)$'
else
    export FACET_TESTS_SMALL=1
    set -- -R '^(ops|ops64|plan|golden|rng|optim|image|dataset|loader|checkpoint)$'
fi
ctest --test-dir "$build" -j "$jobs" --no-tests=error --output-on-failure "$@"
