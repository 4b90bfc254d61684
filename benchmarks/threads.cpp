// Every operation of the menu with all threads (at least two; WENGERT_NUM_THREADS) beside one: its value, and value and gradient together,
// in float32 and float64. The rows that gain least are printed first; the ratio is how many times as fast the threads are.
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/runtime.h"
#include "benchmarks/operations.h"
#include "benchmarks/side.h"

namespace wengert::benchmark {
namespace {

void run(const Options& options) {
  const int threads = std::max(2, num_threads());
  const std::filesystem::path program = benchmark_folder() / "ops_ours";
  Side several(program, threads, plain_environment()), one(program, 1, plain_environment());
  std::vector<Row> rows;
  for (const OperationWork& work : operations())
    for (const char* dtype : {"float32", "float64"})
      for (const bool backward : {false, true}) {
        const std::string row = row_name(work, dtype, backward), name = "threads" + row.substr(row.find('/'));
        if ((backward && !work.differentiable) || !options.wants(name)) continue;
        several.start(row);
        one.start(row);
        Row r = compare({name, 0}, several, one, threads, options.quick ? Turns{400, 5} : Turns{1500, 15});
        r.peer = "one thread";
        rows.push_back(r);
      }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.ratio() < b.ratio(); });
  report(rows, options);
  if (rows.empty()) return;
  const auto slower = std::count_if(rows.begin(), rows.end(), [](const Row& r) { return r.ratio() < 1; });
  fmt::print("{} of {} rows are slower with {} threads, median ratio {:.2f}\n", slower, rows.size(), threads,
             rows[rows.size() / 2].ratio());
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
