#include "case.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include "autodiff/io/safetensors.h"

namespace wengert::golden {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "golden-ad-1";

// The tensors of a group: "case_017/in0" and so on.
class Numbers {
 public:
  explicit Numbers(const std::string& path) : path_(path) {
    for (auto& [name, tensor] : read_safetensors(path).tensors) tensors_.emplace(std::move(name), std::move(tensor));
  }
  const Tensor& at(const std::string& id, const std::string& name) const {
    const auto found = tensors_.find(id + '/' + name);
    if (found == tensors_.end()) throw DataError(fmt::format("{}: has no tensor {}/{}", path_, id, name));
    return found->second;
  }

 private:
  std::string path_;
  Values tensors_;
};

// Groups g1 to g6: operands and results of one operation, and its gradients for random cotangents.
void read_operands(const json& entry, const Numbers& numbers, Case& c) {
  for (const json& input : entry.at("inputs")) {
    c.inputs.push_back({.name = input.at("name"), .differentiable = input.at("diff"), .gradient = input.value("grad", "")});
    const Input& i = c.inputs.back();
    c.given.emplace(i.name, numbers.at(c.id, i.name));
    if (i.differentiable) c.expected.emplace(i.gradient, numbers.at(c.id, i.gradient));
  }
  for (const json& output : entry.at("outputs")) {
    c.outputs.push_back({.name = output.at("name"), .differentiable = output.at("diff"), .cotangent = output.value("gout", "")});
    const Output& o = c.outputs.back();
    c.expected.emplace(o.name, numbers.at(c.id, o.name));
    if (o.differentiable) c.given.emplace(o.cotangent, numbers.at(c.id, o.cotangent));
  }
}

// Internals of the optimizer that generated the data, which a library need not expose or have in this form.
bool is_internal(const std::string& name) { return name.starts_with("state_") || name == "n_closure_calls"; }

// Groups g7 and g8: tensors by role. All are given, because the expected tensors of a trajectory include its start and its gradients.
void read_tensors(const json& entry, const Numbers& numbers, Case& c) {
  for (const json& tensor : entry.at("tensors")) {
    const std::string name = tensor.at("name");
    c.given.emplace(name, numbers.at(c.id, name));
    if (tensor.at("role") == "expected" && !is_internal(name)) c.expected.emplace(name, numbers.at(c.id, name));
  }
}

Case read_case(const json& entry, const std::string& group, const Numbers& numbers) {
  Case c;
  c.group = group;
  c.id = entry.at("id");
  c.op = entry.at("op");
  c.attributes = Attributes(entry.at("attrs"));
  c.tags = entry.at("tags").get<std::vector<std::string>>();
  c.relative_tolerance = entry.at("rtol");
  c.absolute_tolerance = entry.at("atol");
  c.scaled_by_tensor = entry.at("cmp") == "tensor";
  if (entry.contains("tensors")) {
    read_tensors(entry, numbers, c);
  } else {
    read_operands(entry, numbers, c);
  }
  return c;
}

}  // namespace

bool Attributes::has(const char* name) const { return values_.contains(name) && !values_.at(name).is_null(); }

double Attributes::number(const char* name) const {
  const json& value = values_.at(name);
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  return value.get<double>();
}

Shape Attributes::list(const char* name) const { return Shape(std::span<const Index>(values_.at(name).get<std::vector<Index>>())); }

bool Case::tagged(std::string_view tag) const { return std::find(tags.begin(), tags.end(), tag) != tags.end(); }

bool Case::advisory() const {
  return tagged("nonfinite") || tagged("impl") || tagged("threshold") || tagged("overflow") || tagged("trajectory-sensitive");
}

std::vector<std::string> groups_of(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> groups;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error))
    if (entry.path().extension() == ".json") groups.push_back(entry.path().stem().string());
  if (error) throw DataError(fmt::format("{}: {}", directory, error.message()));
  std::sort(groups.begin(), groups.end());
  return groups;
}

std::vector<Case> read_group(const std::string& directory, const std::string& group) {
  const std::string path = (std::filesystem::path(directory) / (group + ".json")).string();
  std::ifstream file(path);
  if (!file) throw DataError(fmt::format("{}: cannot be opened", path));
  try {
    const json manifest = json::parse(file);
    if (manifest.at("format") != kFormat) throw DataError(fmt::format("{}: its format is not {}", path, kFormat));
    const Numbers numbers((std::filesystem::path(directory) / manifest.at("data").get<std::string>()).string());
    std::vector<Case> cases;
    for (const json& entry : manifest.at("cases")) cases.push_back(read_case(entry, group, numbers));
    return cases;
  } catch (const json::exception& e) {
    throw DataError(fmt::format("{}: {}", path, e.what()));
  }
}

}  // namespace wengert::golden
