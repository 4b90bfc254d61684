#pragma once
// Internal. Takes a state apart: all that is wrong with it is found before anything changes.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/named_tensor.h"

namespace wengert::optim {

/// What states call the parameters: their names, or their positions where one has no name or two have the same. Each also has its position
/// in the state, "OWNER.parameters.NAME.position", for owners whose parameters have no names (yet).
std::vector<std::string> state_names(const ParameterList& parameters);

NamedTensor named_number(std::string name, double value);
NamedTensor named_integer(std::string name, Index value);

class StateReader {
 public:
  /// A DataError unless every name begins with "OWNER." and occurs once. `source` begins the messages.
  StateReader(std::string_view owner, const std::string& source, std::span<const NamedTensor> state);

  bool has(std::string_view name) const;
  /// What the state calls each of the parameters: by name, or by position if they, or the state's, have no names.
  std::vector<std::string> names_of(const ParameterList& parameters);
  /// A copy of the tensor "OWNER.name"; undefined if it is missing or another kind of tensor, which finish() reports.
  Tensor tensor(const std::string& name, const Shape& shape, Dtype dtype);
  double number(const std::string& name);
  Index integer(const std::string& name);  ///< not negative
  void complain(std::string problem) { problems_.push_back(std::move(problem)); }
  /// A DataError with all problems if there are some, or if there is a name that nobody asked for.
  void finish() const;

 private:
  const NamedTensor* find(std::string_view name) const;

  std::string prefix_, source_;
  std::span<const NamedTensor> state_;
  std::vector<const NamedTensor*> taken_;
  std::vector<std::string> problems_;
};

}  // namespace wengert::optim
