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

/// The options of a case's operation. Numbers that JSON cannot represent are strings ("inf").
class Attributes {
 public:
  Attributes() = default;
  explicit Attributes(nlohmann::json values) : values_(std::move(values)) {}

  /// Whether the attribute is present and not null.
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
  std::string name;  ///< of its tensor; inputs with the same name are the same variable
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
  Values given;                 ///< tensors that a computation may use
  Values expected;              ///< tensors that it should return
  double relative_tolerance = 0, absolute_tolerance = 0;
  bool scaled_by_tensor = false;  ///< the absolute tolerance is in units of the tensor's largest element

  bool tagged(std::string_view tag) const;
  /// Results that are details of an implementation: compared, but a difference is not a failure.
  bool advisory() const;
  /// The library need not have the operation.
  bool optional() const { return tagged("extra") || tagged("stretch"); }
};

/// The names of the groups in a directory: its manifests, sorted.
std::vector<std::string> groups_of(const std::string& directory);
/// All cases of a group, in the manifest's order. A DataError where manifest or numbers are not what the format says.
std::vector<Case> read_group(const std::string& directory, const std::string& group);

}  // namespace wengert::golden
