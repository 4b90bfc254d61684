#pragma once
// One case of the reference data (format golden-ad-1), and how a directory of them is read.
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"

namespace wengert::golden {

/// Tensors by their names within a case.
using Values = std::map<std::string, Tensor>;

/// What a case says about its operation beside the operands. Numbers that JSON cannot hold are texts there ("inf").
class Attributes {
 public:
  Attributes() = default;
  explicit Attributes(nlohmann::json values) : values_(std::move(values)) {}

  /// Whether it is there and not null.
  bool has(const char* name) const;
  double number(const char* name) const;
  double number_or(const char* name, double otherwise) const { return has(name) ? number(name) : otherwise; }
  /// One of a list of numbers.
  double number(const char* name, std::size_t position) const { return values_.at(name).at(position).get<double>(); }
  Index integer(const char* name) const { return values_.at(name).get<Index>(); }
  bool flag(const char* name) const { return has(name) && values_.at(name).get<bool>(); }
  std::string text(const char* name) const { return values_.at(name).get<std::string>(); }
  std::vector<double> numbers(const char* name) const { return values_.at(name).get<std::vector<double>>(); }
  std::vector<std::string> texts(const char* name) const { return values_.at(name).get<std::vector<std::string>>(); }
  Shape list(const char* name) const;

 private:
  nlohmann::json values_;
};

struct Input {
  std::string name;  ///< of its tensor; the same name twice is the same variable twice
  bool differentiable;
  std::string gradient;  ///< name of the expected gradient, where differentiable
};

struct Output {
  std::string name;
  bool differentiable;
  std::string cotangent;  ///< name of the random cotangent, where differentiable
};

struct Case {
  std::string group, id, op;
  Attributes attributes;
  std::vector<std::string> tags;
  std::vector<Input> inputs;    ///< in call order; groups g1 to g6
  std::vector<Output> outputs;  ///< groups g1 to g6
  Values given;                 ///< what a computation may use
  Values expected;              ///< what it should give
  double relative_tolerance = 0, absolute_tolerance = 0;
  bool scaled_by_tensor = false;  ///< the absolute tolerance counts in units of the tensor's largest element

  bool tagged(std::string_view tag) const;
  /// Recorded but not held against the library: results that are details of an implementation.
  bool advisory() const;
  /// The library need not have the operation.
  bool optional() const { return tagged("extra") || tagged("stretch"); }
};

/// The names of the groups in a directory: its manifests, sorted.
std::vector<std::string> groups_of(const std::string& directory);
/// All cases of a group, in the manifest's order. A DataError where manifest or numbers are not what the format says.
std::vector<Case> read_group(const std::string& directory, const std::string& group);

}  // namespace wengert::golden
