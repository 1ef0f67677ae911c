#!/bin/sh
# Runs the C++ tests as 64-bit Arm code on another processor: cross-compiled, under qemu. `make neon-test` calls it.
#
# Where Debian's arm64 libraries are installed that is all of hox_tests, else the kernels alone, which need none.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'test_aarch64: %s\n' "$*" >&2; }

missing=
command -v aarch64-linux-gnu-g++ >/dev/null 2>&1 || missing="$missing g++-aarch64-linux-gnu"
command -v qemu-aarch64 >/dev/null 2>&1 || missing="$missing qemu-user"
test -d /usr/src/googletest || missing="$missing googletest"
if [ -n "$missing" ]; then
  say "this needs$missing: apt-get install$missing"
  exit 1
fi

libraries='libfmt-dev libzstd-dev zlib1g-dev libblosc-dev libgtest-dev'
absent=
for package in $libraries; do
  dpkg-query -W -f '${Status}' "$package:arm64" 2>/dev/null | grep -q 'ok installed' || absent="$absent $package:arm64"
done
if [ -z "$absent" ]; then
  cmake --preset aarch64
  cmake --build --preset aarch64
  # Death tests start the program anew, which the kernel refuses where it does not know of qemu (binfmt_misc).
  GTEST_FILTER='-*DeathTest.*' exec ctest --preset aarch64
fi

say "only the kernels; for all tests: dpkg --add-architecture arm64 && apt-get update && apt-get install$absent"
out=build/aarch64-kernels
gtest=/usr/src/googletest/googletest
mkdir -p "$out"
test -e "$out/gtest.o" ||
  aarch64-linux-gnu-g++ -O1 -I "$gtest/include" -I "$gtest" -c "$gtest/src/gtest-all.cc" -o "$out/gtest.o"
aarch64-linux-gnu-g++ -std=c++20 -O3 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror \
  -I cpp -isystem "$gtest/include" cpp/homeobox/codec/kernels/*.cc "$gtest/src/gtest_main.cc" "$out/gtest.o" \
  -o "$out/kernel_tests"
exec qemu-aarch64 -L /usr/aarch64-linux-gnu "$out/kernel_tests" --gtest_brief=1
