# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086  # The lists are for the commands; $missing is meant to be split.
# The system packages of each command, by their names in Debian 12 and Ubuntu, and how they are installed. Sourced by commands.sh.

packages_library=(cmake g++ libcli11-dev libfmt-dev libhwy-dev libopenblas0-pthread libpng-dev librandom123-dev ninja-build
  nlohmann-json3-dev zlib1g-dev)
packages_demo=("${packages_library[@]}" dataset-fashion-mnist)
command -v gnuplot >/dev/null || packages_demo+=(gnuplot-nox)  # any of gnuplot's packages will do
packages_mpi=(libopenmpi-dev openmpi-bin)
packages_test=("${packages_demo[@]}" "${packages_mpi[@]}" ccache git libboost-test-dev libeigen3-dev pkg-config python3)
packages_aarch64=(cmake g++-aarch64-linux-gnu ninja-build python3 qemu-user)
packages_aarch64_root=(libboost-test-dev libcli11-dev libfmt-dev libhwy-dev libopenblas0-pthread libpng-dev librandom123-dev
  nlohmann-json3-dev zlib1g-dev)  # of Debian for AArch64; not installed, but unpacked by scripts/sysroot
packages_bench=("${packages_library[@]}" libadolc-dev libbenchmark-dev libeigen3-dev libtorch-dev libtrilinos-sacado-dev)
packages_docs=(doxygen furo libjs-mathjax node-normalize.css python3-myst-parser python3-sphinx)
packages_clang=("${packages_test[@]}" clang-14 libclang-rt-14-dev lld-14)  # the presets asan and fuzz
packages_valgrind=("${packages_test[@]}" valgrind)
packages_format=(clang-format-14 git)
packages_check=("${packages_test[@]}" "${packages_format[@]}" clang-tidy-14)

# require_packages NAME... installs those that are missing, and does nothing at all if none is.
require_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "dev: no apt here, so please see to it that these Debian packages' counterparts are installed: $*" >&2
    return
  fi
  local missing log
  missing=$(comm -23 <(printf '%s\n' "$@" | sort -u) \
    <(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u))
  [[ -n $missing ]] || return 0
  echo "dev: installing" $missing
  log=$(mktemp)
  if ! { as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends $missing; } </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    echo "dev: the installation failed; please install these packages yourself:" $missing >&2
    exit 1
  fi
  rm -f "$log"
}

as_root() {
  local -x DEBIAN_FRONTEND=noninteractive
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --preserve-env=DEBIAN_FRONTEND "$@"
  else
    echo "dev: neither root nor sudo, so this cannot be run: $*" >&2
    return 1
  fi
}
