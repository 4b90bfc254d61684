#include "autodiff/tensor/label.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <vector>

namespace wengert::detail {
namespace {

class Names {
 public:
  std::uint32_t label_of(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto known = labels_.find(name);
    if (known != labels_.end()) return known->second;
    if (names_.size() >= kMaxNames) return kUnnamed;
    names_.emplace_back(name);
    const auto label = static_cast<std::uint32_t>(names_.size());
    labels_.emplace(name, label);
    return label;
  }
  std::string name_of(std::uint32_t label) {
    const std::lock_guard lock(mutex_);
    return names_[label - 1];
  }

 private:
  static constexpr std::size_t kMaxNames = 10000;
  static constexpr std::uint32_t kUnnamed = 1;

  std::mutex mutex_;
  std::vector<std::string> names_{""};  // by label, from kUnnamed on
  std::map<std::string, std::uint32_t, std::less<>> labels_{{"", kUnnamed}};
};

// Never destroyed, because messages may be written while the process exits.
Names& names() {
  static Names* const all = new Names;
  return *all;
}

}  // namespace

std::uint32_t label_of_parameter(std::string_view name) { return names().label_of(name); }

std::string text_of_label(std::uint32_t label) {
  if (label == 0) return "";
  const std::string name = names().name_of(label);
  return name.empty() ? "parameter" : "parameter " + name;
}

}  // namespace wengert::detail
