#include "optim/state_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "autodiff/error.h"
#include "autodiff/io/in_quotes.h"

namespace wengert::optim {

namespace {

std::string position_of(std::string_view name) { return fmt::format("parameters.{}.position", name); }

// Whether a model's visit gave the name. A layer that no model has visited calls its own "weight of Linear(2, 1)".
bool is_path(std::string_view name) { return !name.empty() && name.find(' ') == std::string_view::npos; }

bool have_names(const ParameterList& parameters) {
  std::unordered_set<std::string_view> seen;
  return std::all_of(parameters.begin(), parameters.end(),
                     [&](const ParameterRef& p) { return is_path(p->name) && seen.insert(p->name).second; });
}

}  // namespace

std::vector<std::string> state_names(const ParameterList& parameters) {
  const bool by_name = have_names(parameters);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < parameters.size(); ++i) names.push_back(by_name ? parameters[i]->name : fmt::format("{}", i));
  return names;
}

NamedTensor named_number(std::string name, double value) { return {std::move(name), Tensor::full({}, value, float64)}; }
NamedTensor named_integer(std::string name, Index value) {
  Tensor t = Tensor::zeros({}, int64);
  *t.mutable_data<std::int64_t>() = value;
  return {std::move(name), std::move(t)};
}

StateReader::StateReader(std::string_view owner, const std::string& source, std::span<const NamedTensor> state)
    : prefix_(fmt::format("{}.", owner)), source_(source), state_(state) {
  std::unordered_set<std::string_view> seen;
  for (const auto& [name, value] : state) {
    if (!name.starts_with(prefix_))
      throw DataError(fmt::format("{}: this is not the state of {}: it holds {}", source, owner, in_quotes(name)));
    if (!value.defined()) throw DataError(fmt::format("{}: tensor {} is undefined", source, in_quotes(name)));
    if (!seen.insert(name).second) throw DataError(fmt::format("{}: the name {} occurs twice", source, in_quotes(name)));
  }
}

const NamedTensor* StateReader::find(std::string_view name) const {
  const auto found = std::find_if(state_.begin(), state_.end(),
                                  [&](const NamedTensor& t) { return std::string_view(t.name).substr(prefix_.size()) == name; });
  return found == state_.end() ? nullptr : &*found;
}

bool StateReader::has(std::string_view name) const { return find(name) != nullptr; }

std::vector<std::string> StateReader::names_of(const ParameterList& parameters) {
  std::vector<std::string> own = state_names(parameters), by_position(own.size());
  const bool all_there = std::all_of(own.begin(), own.end(), [&](const std::string& name) { return has(position_of(name)); });
  bool state_has_names = false;
  for (const auto& [name, value] : state_) {
    std::string_view key = std::string_view(name).substr(prefix_.size());
    if (!key.starts_with("parameters.") || !key.ends_with(".position") || value.dtype() != int64 || value.size() != 1) continue;
    key = key.substr(11, key.size() - 11 - 9);
    const Index position = value.contiguous().data<std::int64_t>()[0];
    state_has_names = state_has_names || key != fmt::format("{}", position);
    if (position >= 0 && position < static_cast<Index>(own.size())) by_position[static_cast<std::size_t>(position)] = key;
  }
  const bool complete = std::none_of(by_position.begin(), by_position.end(), [](const std::string& name) { return name.empty(); });
  std::vector<std::string>& names = !all_there && complete && !(have_names(parameters) && state_has_names) ? by_position : own;
  for (const std::string& name : names) integer(position_of(name));
  return std::move(names);
}

Tensor StateReader::tensor(const std::string& name, const Shape& shape, Dtype dtype) {
  const NamedTensor* const found = find(name);
  if (!found) {
    complain(fmt::format("{}{} is missing", prefix_, name));
    return {};
  }
  taken_.push_back(found);
  const Tensor& value = found->value;
  if (value.shape() == shape && value.dtype() == dtype) return value.constant().clone();
  complain(fmt::format("{} is {} {}, but {} {} is needed", found->name, to_string(value.shape()), to_string(value.dtype()),
                       to_string(shape), to_string(dtype)));
  return {};
}

double StateReader::number(const std::string& name) {
  const Tensor value = tensor(name, {}, float64);
  return value.defined() ? value.item() : std::nan("");
}

Index StateReader::integer(const std::string& name) {
  const Tensor value = tensor(name, {}, int64);
  if (!value.defined()) return 0;
  const Index n = *value.data<std::int64_t>();
  if (n < 0) complain(fmt::format("{}{} is {}", prefix_, name, n));
  return n;
}

void StateReader::finish() const {
  std::vector<std::string> all = problems_;
  for (const NamedTensor& t : state_)
    if (std::find(taken_.begin(), taken_.end(), &t) == taken_.end()) all.push_back(fmt::format("{} is unexpected", in_quotes(t.name)));
  if (all.empty()) return;
  constexpr std::size_t most = 20;  // a wrong file must not fill the screen
  const std::size_t rest = all.size() - std::min(all.size(), most);
  all.resize(all.size() - rest);
  throw DataError(fmt::format("{}: {}{}", source_, fmt::join(all, "; "), rest > 0 ? fmt::format("; and {} more", rest) : ""));
}

}  // namespace wengert::optim
