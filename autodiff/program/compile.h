#pragma once
// A program as machine code: its source (to_cpp.h), built by the system's compiler and loaded.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/program/derivatives.h"

namespace wengert {

struct CompileOptions {
  std::string compiler = {};                                  ///< with its first options, between spaces; empty: $CXX, and c++ without that
  std::vector<std::string> flags = {"-O3", "-march=native"};  ///< besides those that keep the bits of the evaluator
  bool gradient = true;                                       ///< of a program of one output: compile its value_and_gradient too
  Wrt wrt = Wrt::automatic;                                   ///< what the gradient is taken with respect to
  int max_lines = 20'000;                                     ///< of source: compilers take minutes for more
};

namespace detail {
class SharedObject;
}

/// Evaluates a program like the program itself, in float64, with the same bits: by compiled code if there is a compiler, else by the
/// evaluator. Lanes that leave the first path of the program are evaluated by the program. Sums over lanes, and gradients, may differ from
/// the evaluator's in rounding: they are added in another order; they too have the same bits for any number of threads. Copies share the
/// code. All members may be called by several threads at once.
class CompiledProgram {
 public:
  /// The program that was compiled.
  const Program& program() const { return program_; }
  /// Whether calls run compiled code.
  bool is_native() const { return code_ != nullptr; }
  /// Which compiler made the code, or why there is none.
  const std::string& report() const { return report_; }

  // As Program's. sum_and_gradient is with respect to the parameters, value_and_gradient to what CompileOptions::wrt says. A ValueError if
  // the gradient was not compiled, or with respect to something else.
  double operator()(std::span<const double> inputs) const;
  double operator()(std::span<const double> parameters, std::span<const double> record) const;
  std::vector<double> values(std::span<const double> inputs) const;
  std::vector<double> values(std::span<const double> parameters, const Columns& columns) const;
  void values(std::span<const double> parameters, const Columns& columns, std::span<double> to) const;
  double sum(std::span<const double> parameters, const Columns& columns) const;
  std::pair<double, std::vector<double>> sum_and_gradient(std::span<const double> parameters, const Columns& columns) const;
  double sum_and_gradient(std::span<const double> parameters, const Columns& columns, std::span<double> to) const;
  std::pair<double, std::vector<double>> value_and_gradient(std::span<const double> inputs) const;

 private:
  friend CompiledProgram compile(const Program& program, const CompileOptions& options);
  explicit CompiledProgram(Program program) : program_(std::move(program)) {}
  const Program& gradient(const char* name) const;

  Program program_;
  std::shared_ptr<const Program> gradient_;
  bool by_parameters_ = false;
  std::shared_ptr<const detail::SharedObject> code_;
  std::string report_;
};

/// The compiler runs in a new folder of the system's folder for temporary files, without a shell; the folder is removed at once.
/// A ValueError if options are not sound. That there is no compiler, or that it fails, is no error: report() says so.
CompiledProgram compile(const Program& program, const CompileOptions& options = {});

}  // namespace wengert
