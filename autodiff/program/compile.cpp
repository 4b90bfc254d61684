#include "autodiff/program/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/partial_sums.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/program/block_kernels.h"
#include "autodiff/program/shared_object.h"
#include "autodiff/program/to_cpp.h"

namespace wengert {
namespace {

using detail::kPartialSums, kernels::Scratch, kernels::tree_sum;

// As to_cpp.h has them.
using Function = void(long lanes, const double* p, const double* const* d, double* const* y, long* left);
using SumFunction = void(long lanes, const double* p, const double* const* d, double* y, long* left);

constexpr const char *kValueName = "wengert_value", *kGradientName = "wengert_gradient";
constexpr Index kBlock = 512;  // lanes

// What keeps the bits of the evaluator, and calls the C library for what compilers would compute otherwise.
std::vector<std::string> exact_flags() {
  std::vector<std::string> flags{"-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"};
  for (const char* name : {"exp",  "exp2", "expm1", "log",  "log2",  "log10", "log1p", "sin", "cos",  "tan", "asin",  "acos",
                           "atan", "sinh", "cosh",  "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "pow", "atan2", "hypot"})
    flags.push_back(fmt::format("-fno-builtin-{}", name));
  return flags;
}

std::vector<std::string> command_of(const CompileOptions& options) {
  const char* variable = std::getenv("CXX");
  std::istringstream words(!options.compiler.empty() ? options.compiler : variable && *variable ? variable : "c++");
  std::vector<std::string> command;
  for (std::string word; words >> word;) command.push_back(word);
  if (command.empty()) throw ValueError(fmt::format("compile: the compiler '{}' is not a command", options.compiler));
  command.insert(command.end(), options.flags.begin(), options.flags.end());
  for (std::string& flag : exact_flags()) command.push_back(std::move(flag));  // the last ones count
  return command;
}

// A compiled function, run over lanes.
class Run {
 public:
  Run(const Program& program, std::span<const double> parameters, const Columns& columns)
      : program_(program), parameters_(parameters), columns_(columns), outputs_(program.outputs()), left_(columns.lanes() + 1) {}

  // All outputs: [output][lane].
  void values(Function* function, double* to) const {
    run(function, to);
    const std::vector<Index> those = departed();
    if (those.empty()) return;
    const std::vector<double> computed = by_program(those);
    for (Index o = 0; o < outputs_; ++o)
      for (std::size_t k = 0; k < those.size(); ++k) to[o * lanes() + those[k]] = computed[static_cast<std::size_t>(o) * those.size() + k];
  }
  // The one output, summed over the lanes in the order of compiled sums (lane_vectors.h).
  double sum(Function* function) const {
    const Scratch<double> y(lanes() + 1), of_blocks(blocks() + 1);
    run(function, y.data());
    for (Index b = 0; b < blocks(); ++b) {
      double parts[kPartialSums];
      std::fill_n(parts, kPartialSums, -0.0);
      for (Index i = b * kBlock; i < std::min((b + 1) * kBlock, lanes()); ++i)
        if (left_.data()[i] < 0) parts[i % kPartialSums] += y.data()[i];
      of_blocks.data()[b] = tree_sum(parts, kPartialSums);
    }
    double sum = tree_sum(of_blocks.data(), blocks());
    add_departed(&sum);
    return sum;
  }
  // The outputs, summed over the lanes.
  void sums(SumFunction* function, double* to) const {
    const Scratch<double> of_blocks(blocks() * outputs_ + 1);
    std::fill_n(of_blocks.data(), blocks() * outputs_, -0.0);  // of a block that leaves as a whole
    for_blocks([&](Index first, Index n, const double* const* d) {
      function(static_cast<long>(n), parameters_.data(), d, of_blocks.data() + first / kBlock * outputs_, left_.data() + first);
    });
    for (Index o = 0; o < outputs_; ++o) to[o] = tree_sum(of_blocks.data() + o, blocks(), outputs_);
    add_departed(to);
  }

 private:
  Index lanes() const { return columns_.lanes(); }
  Index blocks() const { return (lanes() + kBlock - 1) / kBlock; }

  // f(first, n, columns from `first` on) side by side.
  template <class F> void for_blocks(const F& f) const {
    parallel_blocks(blocks(), [&](std::int64_t b) {
      const auto count = static_cast<Index>(columns_.size());
      const Scratch<const double*> d(count + 1);
      for (Index k = 0; k < count; ++k) d.data()[k] = columns_[static_cast<std::size_t>(k)] + b * kBlock;
      f(b * kBlock, std::min(kBlock, lanes() - b * kBlock), d.data());
    });
  }
  void run(Function* function, double* to) const {
    for_blocks([&](Index first, Index n, const double* const* d) {
      const Scratch<double*> y(outputs_ + 1);
      for (Index o = 0; o < outputs_; ++o) y.data()[o] = to + o * lanes() + first;
      function(static_cast<long>(n), parameters_.data(), d, y.data(), left_.data() + first);
    });
  }
  void add_departed(double* to) const {
    const std::vector<Index> those = departed();
    if (those.empty()) return;
    std::vector<double> computed = by_program(those);
    for (Index o = 0; o < outputs_; ++o)
      to[o] += tree_sum(computed.data() + o * static_cast<Index>(those.size()), static_cast<Index>(those.size()));
  }
  std::vector<Index> departed() const {
    std::vector<Index> those;
    for (Index i = 0; i < lanes(); ++i)
      if (left_.data()[i] >= 0) those.push_back(i);
    return those;
  }
  std::vector<double> by_program(const std::vector<Index>& those) const {
    std::vector<std::vector<double>> gathered(columns_.size());
    for (std::size_t k = 0; k < gathered.size(); ++k)
      for (Index i : those) gathered[k].push_back(columns_[k][i]);
    return program_.values(parameters_, gathered.empty() ? Columns::without_data(static_cast<Index>(those.size())) : Columns(gathered));
  }

  const Program& program_;
  std::span<const double> parameters_;
  const Columns& columns_;
  const Index outputs_;
  const Scratch<long> left_;
};

void check_sizes(const char* name, const Program& program, std::span<const double> parameters, const Columns& columns) {
  if (parameters.size() != static_cast<std::size_t>(program.parameters()))
    throw ShapeError(fmt::format("{}: {} parameters for a program of {}", name, parameters.size(), program.parameters()));
  if (columns.size() != static_cast<std::size_t>(program.data()))
    throw ShapeError(fmt::format("{}: {} columns of data for a program of {}", name, columns.size(), program.data()));
}
void check_size(const char* name, const char* what, std::size_t size, Index expected) {
  if (static_cast<Index>(size) != expected) throw ShapeError(fmt::format("{}: {} has {} numbers; it needs {}", name, what, size, expected));
}
void need_one_output(const char* name, const Program& program) {
  if (program.outputs() != 1)
    throw ValueError(fmt::format("{}: the program has {} outputs, not one; hint: values takes any number", name, program.outputs()));
}
std::pair<std::span<const double>, std::span<const double>> split(const char* name, const Program& program,
                                                                  std::span<const double> inputs) {
  if (static_cast<Index>(inputs.size()) != program.parameters() + program.data())
    throw ShapeError(fmt::format("{}: {} inputs for a program of {} ({} parameters, {} data)", name, inputs.size(),
                                 program.parameters() + program.data(), program.parameters(), program.data()));
  const auto parameters = static_cast<std::size_t>(program.parameters());
  return {inputs.first(parameters), inputs.subspan(parameters)};
}
Columns one_lane(std::span<const double> record) {
  if (record.empty()) return Columns::without_data(1);
  Columns columns;
  for (const double& x : record) columns.add({&x, 1});
  return columns;
}

}  // namespace

CompiledProgram compile(const Program& program, const CompileOptions& options) {
  const std::vector<std::string> command = command_of(options);
  CompiledProgram compiled(program);
  std::string source = to_cpp(program, kValueName, {.lanes = true});
  if (options.gradient && program.outputs() == 1) {
    compiled.gradient_ = std::make_shared<const Program>(value_and_gradient(program, options.wrt));
    compiled.by_parameters_ = options.wrt == Wrt::parameters || (options.wrt == Wrt::automatic && program.parameters() > 0);
    source += "\n" + to_cpp(*compiled.gradient_, kGradientName, {.lanes = true, .sums = true});
  }
  const auto lines = std::ranges::count(source, '\n');
  if (lines > options.max_lines) {
    compiled.report_ = fmt::format("not compiled: its source has {} lines, and .max_lines is {}", lines, options.max_lines);
    return compiled;
  }
  compiled.code_ = detail::SharedObject::build(source, command, compiled.report_);
  return compiled;
}

const Program& CompiledProgram::gradient(const char* name) const {
  need_one_output(name, program_);
  if (!gradient_) throw ValueError(fmt::format("{}: the program was compiled with .gradient = false", name));
  return *gradient_;
}

double CompiledProgram::operator()(std::span<const double> inputs) const {
  const auto [parameters, record] = split("program", program_, inputs);
  return (*this)(parameters, record);
}
double CompiledProgram::operator()(std::span<const double> parameters, std::span<const double> record) const {
  need_one_output("program", program_);
  double y = 0;
  values(parameters, one_lane(record), {&y, 1});
  return y;
}
std::vector<double> CompiledProgram::values(std::span<const double> inputs) const {
  const auto [parameters, record] = split("values", program_, inputs);
  return values(parameters, one_lane(record));
}
std::vector<double> CompiledProgram::values(std::span<const double> parameters, const Columns& columns) const {
  std::vector<double> to(static_cast<std::size_t>(program_.outputs() * columns.lanes()));
  values(parameters, columns, to);
  return to;
}
void CompiledProgram::values(std::span<const double> parameters, const Columns& columns, std::span<double> to) const {
  if (!code_) return program_.values(parameters, columns, to);
  check_sizes("values", program_, parameters, columns);
  check_size("values", "the result", to.size(), program_.outputs() * columns.lanes());
  Run(program_, parameters, columns).values(code_->find<Function>(kValueName), to.data());
}
double CompiledProgram::sum(std::span<const double> parameters, const Columns& columns) const {
  if (!code_) return program_.sum(parameters, columns);
  need_one_output("sum", program_);
  check_sizes("sum", program_, parameters, columns);
  return Run(program_, parameters, columns).sum(code_->find<Function>(kValueName));
}
std::pair<double, std::vector<double>> CompiledProgram::sum_and_gradient(std::span<const double> parameters, const Columns& columns) const {
  std::vector<double> to(parameters.size());
  const double sum = sum_and_gradient(parameters, columns, to);
  return {sum, std::move(to)};
}
double CompiledProgram::sum_and_gradient(std::span<const double> parameters, const Columns& columns, std::span<double> to) const {
  const Program& gradient = this->gradient("sum_and_gradient");
  if (!by_parameters_)
    throw ValueError(
        "sum_and_gradient: the gradient was compiled with respect to inputs other than the parameters; hint: .wrt = Wrt::parameters");
  if (!code_) return program_.sum_and_gradient(parameters, columns, to);
  check_sizes("sum_and_gradient", program_, parameters, columns);
  check_size("sum_and_gradient", "the gradient", to.size(), program_.parameters());
  const Scratch<double> sums(gradient.outputs());
  Run(gradient, parameters, columns).sums(code_->find<SumFunction>(kGradientName), sums.data());
  std::copy_n(sums.data() + 1, to.size(), to.data());
  return sums.data()[0];
}
std::pair<double, std::vector<double>> CompiledProgram::value_and_gradient(std::span<const double> inputs) const {
  const Program& gradient = this->gradient("value_and_gradient");
  const auto [parameters, record] = split("value_and_gradient", program_, inputs);
  std::vector<double> all(static_cast<std::size_t>(gradient.outputs()));
  if (code_) {
    Run(gradient, parameters, one_lane(record)).sums(code_->find<SumFunction>(kGradientName), all.data());  // of one lane
  } else {
    gradient.values(parameters, one_lane(record), all);
  }
  const double value = all[0];
  all.erase(all.begin());
  return {value, std::move(all)};
}

}  // namespace wengert
