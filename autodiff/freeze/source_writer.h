#pragma once
// Internal.
// What the steps of a frozen function write their source with.
#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autodiff/freeze/steps.h"
#include "autodiff/program/list.h"

namespace wengert::detail::frozen {

class SourceWriter {
 public:
  /// `size`: of the plan's memory.
  SourceWriter(const std::vector<float>& constants, Index size) : constants_(constants), size_(size) {}

  /// A line of the forward pass.
  void line(std::string_view line) {
    body_ += "  ";
    body_ += line;
    body_ += '\n';
  }
  /// Where `count` elements begin, as an expression. The input is in the memory m, of which it is the beginning.
  std::string at(Place p, Index count);
  /// Memory that the source needs beside the plan's.
  Place scratch(Index count) {
    size_ += count;
    return {size_ - count, kValues};
  }
  Index size() const { return size_; }
  /// The name of an array of these numbers.
  std::string array(std::span<const float> values);
  /// "f(a, b)" for an elementwise function of functions.h.
  std::string call(std::string_view function, const std::array<double, 2>& options, std::span<const std::string> operands);

  /// A function of the source that is written once: one of the constants in to_cpp.cpp.
  void need(const char* function);

  const std::string& body() const { return body_; }
  /// All that the body calls, in the order in which it must be written.
  std::string definitions() const;

 private:
  std::string operation(Opcode opcode, const std::array<std::string, 3>& operands, const std::array<double, 2>& options);
  std::string function(Opcode opcode, const std::array<double, 2>& options);

  const std::vector<float>& constants_;
  Index size_;
  std::string body_, arrays_, functions_;
  std::vector<const char*> helpers_;
  std::map<std::vector<float>, std::string> arrays_by_values_;
  std::map<std::pair<Opcode, std::array<double, 2>>, std::string> functions_by_options_;
};

}  // namespace wengert::detail::frozen
