# shellcheck shell=bash
# The commands of dev, one function each. Sourced by dev, run from the project's root.
source scripts/packages.sh

# What ccache needs for a precompiled header, and for clones in other folders to share what is compiled.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros} CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD}

# configure PRESET [CMake options]: quiet unless it fails. Where CI=true, warnings are errors, and the release tests compile the library a
# second time, as shared objects.
configure() {
  local log=build/$1/configure.log werror=OFF shared=OFF
  mkdir -p "build/$1"
  if [[ ${CI:-} == true ]]; then
    werror=ON
    if [[ $1 == release ]]; then shared=ON; fi
  fi
  cmake --preset "$@" -DWENGERT_WERROR=$werror -DWENGERT_TEST_SHARED=$shared >"$log" 2>&1 || {
    cat "$log" >&2
    return 1
  }
}

# What building the tests of a preset needs.
require_preset() {
  if [[ $1 == aarch64 ]]; then
    require_packages "${packages_aarch64[@]}"
    scripts/sysroot arm64 build/aarch64-root "${packages_aarch64_root[@]}"
    # As update-alternatives would have it if the package were configured.
    ln -sfT openblas-pthread/libopenblas.so.0 build/aarch64-root/usr/lib/aarch64-linux-gnu/libopenblas.so.0
  elif [[ $1 == asan ]]; then
    require_packages "${packages_clang[@]}"
  else
    require_packages "${packages_test[@]}"
  fi
}

run_build() {
  require_preset "$1"
  configure "$1" -DWENGERT_TESTS=ON
  cmake --build --preset "$1"
}

# run_tests PRESET [NAME]: all tests, or one, of which only the program is built.
run_tests() {
  local reports=build/$1/test-reports name=${2:-}
  require_preset "$1"
  configure "$1" -DWENGERT_TESTS=ON
  if [[ -n $name ]] && grep -qE "/$name[ )]" tests/CMakeLists.txt; then
    cmake --build --preset "$1" --target "test_$name"
  else
    cmake --build --preset "$1"
  fi
  rm -rf "$reports"
  mkdir -p "$reports"
  # The count below knows what failed.
  ctest --preset "$1" --parallel 2 ${name:+-R "^$name\$"} --output-junit "test-reports/ctest.xml" || true
  python3 scripts/count-tests "$reports"
}

run_demo() {
  require_packages "${packages_demo[@]}"
  # A first configuration leaves the tests out, whose packages may be missing; an existing build keeps what it has.
  if [[ -f build/release/build.ninja ]]; then configure release; else configure release -DWENGERT_TESTS=OFF; fi
  cmake --build --preset release --target regression mlp
  mkdir -p build/demo
  build/release/examples/regression --plot build/demo/regression.png
  echo
  build/release/examples/mlp --output build/demo | tee build/demo/mlp.log
  check_demo_accuracy
}

# Trains the same network in one process and in two, whose losses must agree in every digit.
run_demo_mpi() {
  local program=build/release/examples/mnist_cnn one two
  require_packages "${packages_demo[@]}" "${packages_mpi[@]}"
  if [[ ! -f build/release/build.ninja ]]; then configure release -DWENGERT_TESTS=OFF; fi  # as in run_demo
  configure release -DWENGERT_MPI=ON
  cmake --build --preset release --target mnist_cnn
  mkdir -p build/demo
  one=$("$program" --quick --blocks 4 --output build/demo | losses_of_ranks)
  # As root, and with fewer processors than ranks, as in a container.
  two=$(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 \
    mpirun -n 2 "$program" --quick --blocks 4 --mpi --output build/demo | losses_of_ranks)
  printf '%s\n' "$one" "$two"
  if [[ -z $one || ${two#ranks 2} != "${one#ranks 1}" ]]; then
    echo "dev: the losses differ, which they must not" >&2
    return 1
  fi
  echo "equal to the bit"
}

# The line with all digits of the losses.
losses_of_ranks() {
  sed -n '/^ranks .* blocks a step /p'
}

# What the network of the demo must reach.
check_demo_accuracy() {
  local least=0.87 reached
  reached=$(sed -n 's/^test accuracy //p' build/demo/mlp.log)
  if ! awk -v reached="$reached" -v least=$least 'BEGIN { exit !(reached >= least) }'; then
    echo "dev: a test accuracy of $reached, where at least $least is expected" >&2
    return 1
  fi
  echo "at least $least was expected. Pictures: build/demo"
}

run_bench() {
  require_packages "${packages_bench[@]}"
  configure release -DWENGERT_BENCHMARKS=ON
  cmake --build --preset release --target benchmarks
  python3 scripts/bench build/release/benchmarks "$@"
}

run_fuzz() {
  require_packages "${packages_test[@]}"
  configure release -DWENGERT_TESTS=ON
  cmake --build --preset release --target fuzz
  build/release/tests/fuzz "$@"
}

# Of a hundred inputs, how many each reader gets: more where they are faster.
fuzz_share() {
  case $1 in
    command_line | optimizer) echo 1 ;;
    model | onnx) echo 2 ;;
    csv | safetensors | safetensors_mapped) echo 3 ;;
    text) echo 5 ;;
    program) echo 9 ;;
    equation) echo 13 ;;
    cifar | idx) echo 14 ;;
    npy | npz) echo 15 ;;
  esac
}

# fuzz_reader NAME BYTES LIMIT: one reader, inputs of at most so many bytes, until libFuzzer's option LIMIT is reached; sets units and
# covered. AddressSanitizer keeps 8 MB of freed memory, which is that of many inputs, and two calls for each block: more takes longer.
fuzz_reader() {
  local name=$1 log=build/fuzz/$1.log status=0
  ASAN_OPTIONS=quarantine_size_mb=8:malloc_context_size=2${ASAN_OPTIONS:+:$ASAN_OPTIONS} \
    "build/fuzz/tests/fuzz_$name" "$3" -max_len="$2" -timeout=20 -rss_limit_mb=4096 -close_fd_mask=1 -entropic=0 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" "tests/data/fuzz/$name" >"$log" 2>&1 || status=$?
  grep -E "ERROR|SUMMARY|Fault|artifact|what\(\)" "$log" || true
  units=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(grep -o "cov: [0-9]*" "$log" | tail -n 1)
  return "$status"
}

# run_fuzz_readers [--seconds S] [--inputs N] [--target NAME]: each reader under libFuzzer, from the seeds in tests/data/fuzz, for S seconds
# or for its share of N inputs; the last tenth of it with long inputs. What libFuzzer finds on the way is kept in build/fuzz/corpus, and an
# input with a fault in build/fuzz.
run_fuzz_readers() {
  local seconds=20 inputs=0 only='' folder name largest share short long units covered began tried total=0
  while (($# > 0)); do
    case $1 in
      --seconds) seconds=$2 && shift 2 ;;
      --seconds=*) seconds=${1#*=} && shift ;;
      --inputs) inputs=$2 && shift 2 ;;
      --inputs=*) inputs=${1#*=} && shift ;;
      --target) only=$2 && shift 2 ;;
      --target=*) only=${1#*=} && shift ;;
    esac
  done
  [[ -z $only || -d tests/data/fuzz/$only ]] || {
    echo "dev: no reader is called '$only'; there are: $(ls tests/data/fuzz | paste -s -d ' ')" >&2
    return 2
  }
  require_packages "${packages_clang[@]}"
  configure fuzz
  cmake --build --preset fuzz
  for folder in tests/data/fuzz/${only:-*}/; do
    name=$(basename "$folder")
    mkdir -p "build/fuzz/corpus/$name"
    largest=$(stat -c %s "$folder"* | sort -n | tail -n 1)
    if ((inputs > 0)); then
      share=$inputs
      if [[ -z $only ]]; then share=$(((inputs * $(fuzz_share "$name") + 99) / 100)); fi
      long=-runs=$(((share + 9) / 10)) short=-runs=$((share - share / 10))
    else
      long=-max_total_time=$(((seconds + 9) / 10)) short=-max_total_time=$((seconds - seconds / 10))
    fi
    began=$SECONDS
    fuzz_reader "$name" $((largest > 2048 ? 2 * largest : 4096)) "$short" || return 1
    tried=$units
    fuzz_reader "$name" 65536 "$long" || return 1
    tried=$((tried + units))
    printf '%-20s %10d inputs %6d seconds, %s\n' "$name" "$tried" $((SECONDS - began)) "$covered"
    total=$((total + tried))
  done
  echo "$total inputs, no finding"
}

# Tests of each part that take seconds under valgrind, which knows neither AVX-512 nor OpenBLAS's kernels for it.
run_valgrind() {
  local name log failed=0
  local tests=(call_site indexing parts jacobian assign custom_operation external_function derivatives diagnose derivation program_file npy
    safetensors atomic_file optimizer optimizer_state module state csv idx text loader layers recurrent frozen)
  require_packages "${packages_valgrind[@]}"
  configure release -DWENGERT_TESTS=ON
  cmake --build --preset release --target "${tests[@]/#/test_}"
  log=build/release/valgrind.log
  for name in "${tests[@]}"; do
    if WENGERT_MAX_ISA=avx2 OPENBLAS_CORETYPE=Haswell valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
      --errors-for-leak-kinds=definite "build/release/tests/test_$name" >"$log" 2>&1; then
      echo "$name: clean"
    else
      cat "$log"
      failed=$((failed + 1))
    fi
  done
  echo "$((${#tests[@]} - failed)) passed, $failed failed"
  ((failed == 0))
}

run_soak() {
  require_packages "${packages_test[@]}"
  configure release -DWENGERT_TESTS=ON
  cmake --build --preset release --target soak
  build/release/tests/soak "$@"
}

run_survive() {
  require_packages "${packages_test[@]}"
  configure release -DWENGERT_TESTS=ON
  cmake --build --preset release --target survival_training
  tests/survival/run build/release/tests/survival_training --kills 1000 "$@"
}

run_tables() {
  require_packages "${packages_test[@]}"
  configure release -DWENGERT_TESTS=ON
  cmake --build --preset release --target functions_table
  build/release/tests/functions_table >build/functions.md
  mv build/functions.md docs/functions.md
}

# As in run_demo, a first configuration leaves the tests out.
run_exercise() {
  require_packages "${packages_demo[@]}"
  if [[ -f build/release/build.ninja ]]; then configure release; else configure release -DWENGERT_TESTS=OFF; fi
  cmake --build --preset release --target "exercise_$1"
  build/release/exercises/exercise_"$1"
}

# Python is called by its path, because only the system's has the system's packages.
run_docs() {
  require_packages "${packages_docs[@]}"
  mkdir -p build/docs
  { cat docs/Doxyfile && echo "INPUT = $(python3 scripts/public_headers.py | paste -s -d ' ')"; } | doxygen -
  rm -rf build/docs/html
  /usr/bin/python3 -m sphinx -b html -W --keep-going -q -d build/docs/doctrees docs build/docs/html
  echo "build/docs/html/index.html"
}

# The C++ files of the project, also those that are not committed yet, NUL between them.
cpp_files() {
  git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cpp'
}

run_format() {
  require_packages "${packages_format[@]}"
  cpp_files | xargs -0 clang-format-14 -i
}

# run_check [SOURCE...]: every check, even if one fails. With sources, the lint reads only those.
run_check() {
  require_packages "${packages_check[@]}"
  local failed=()
  check_one format check_format
  check_one includes python3 scripts/check-includes
  check_one files python3 scripts/check-files
  check_one headers check_headers
  check_one lint check_lint "$@"
  ((${#failed[@]} == 0)) || {
    echo "failed: ${failed[*]}"
    return 1
  }
}

check_one() {
  echo "== $1"
  "${@:2}" || failed+=("$1")
}

# Names the files that `./dev format` would change.
check_format() {
  cpp_files | xargs -0 clang-format-14 --dry-run -Werror 2>&1 | sed -n 's/:[0-9:]* error: code should be clang-formatted.*//p' | uniq
}

# Every public header compiles on its own.
check_headers() {
  configure release -DWENGERT_TESTS=ON && cmake --build --preset release --target all_verify_interface_header_sets
}

# check_lint [SOURCE...]: all sources of the libraries, or these, without the precompiled header.
check_lint() {
  configure release -B build/lint -DWENGERT_TESTS=OFF -DWENGERT_EXAMPLES=OFF -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON &&
    scripts/lint build/lint "$@"
}
