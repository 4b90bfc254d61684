#include "nn/module/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "autodiff/error.h"
#include "autodiff/io/in_quotes.h"
#include "autodiff/io/safetensors.h"
#include "autodiff/tape/tape.h"

namespace wengert::nn {
namespace {

struct CollectState final : Visitor {
  std::vector<NamedTensor> list;
  void parameter(Parameter& p) override { list.push_back({std::string(path()), p.value()}); }
  void state(Tensor& t) override { list.push_back({std::string(path()), t}); }
};

// A member of the module that belongs to its state: a parameter or a tensor.
struct Member {
  std::string name;
  Parameter* parameter;  // this,
  Tensor* tensor;        // or that

  const Tensor& value() const { return parameter ? parameter->value() : *tensor; }
  void set(const Tensor& value) const {
    if (parameter) {
      parameter->set(value);
    } else {
      *tensor = value;
    }
  }
};

struct CollectMembers final : Visitor {
  std::vector<Member> list;
  void parameter(Parameter& p) override { list.push_back({std::string(path()), &p, nullptr}); }
  void state(Tensor& t) override { list.push_back({std::string(path()), nullptr, &t}); }
};

std::string kind_of(const Tensor& tensor) { return fmt::format("{} {}", to_string(tensor.shape()), to_string(tensor.dtype())); }

bool dtype_fits(Dtype given, Dtype own) { return given == own || (is_floating(given) && is_floating(own)); }

// The state's tensor for each member of the module, and all differences between the two.
struct Comparison {
  std::vector<const Tensor*> values;  // null where there is none
  StateDifference difference;
  std::vector<std::string> wrong_shape, wrong_dtype;

  Comparison(const std::string& source, const std::vector<Member>& members, std::span<const NamedTensor> state) {
    std::unordered_map<std::string_view, const Tensor*> given;
    for (const auto& [name, value] : state) {
      if (!value.defined()) throw DataError(fmt::format("{}: tensor {} is undefined", source, in_quotes(name)));
      if (!given.emplace(name, &value).second) throw DataError(fmt::format("{}: the name {} occurs twice", source, in_quotes(name)));
    }
    std::unordered_set<std::string_view> own;
    for (const Member& member : members) {
      own.insert(member.name);
      const auto found = given.find(member.name);
      values.push_back(found == given.end() ? nullptr : found->second);
      compare(member, values.back());
    }
    for (const NamedTensor& tensor : state)
      if (!own.contains(tensor.name)) difference.unexpected.push_back(tensor.name);
  }

  // "missing a, b; unexpected "c"; wrong shape d ((3) float32 where the model has (2) float32)", or "".
  std::string complaints(const LoadOptions& options) const {
    std::vector<std::string> all, unexpected;
    for (const std::string& name : difference.unexpected) unexpected.push_back(in_quotes(name));
    if (options.strict) {
      complain(all, "missing", difference.missing);
      complain(all, "unexpected", unexpected);
    }
    complain(all, "wrong shape", wrong_shape);
    complain(all, "wrong dtype", wrong_dtype);
    return fmt::format("{}", fmt::join(all, "; "));
  }

 private:
  void compare(const Member& member, const Tensor* value) {
    if (!value) {
      difference.missing.push_back(member.name);
      return;
    }
    const Tensor& own = member.value();
    const bool shape_fits = value->shape() == own.shape();
    if (shape_fits && dtype_fits(value->dtype(), own.dtype())) return;
    (shape_fits ? wrong_dtype : wrong_shape)
        .push_back(fmt::format("{} ({} where the model has {})", member.name, kind_of(*value), kind_of(own)));
  }
  static void complain(std::vector<std::string>& all, const char* kind, const std::vector<std::string>& items) {
    if (items.empty()) return;
    constexpr std::size_t max = 20;  // limits the message for a wrong file
    const std::size_t shown = std::min(items.size(), max);
    all.push_back(fmt::format("{} {}{}", kind, fmt::join(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                              shown < items.size() ? fmt::format(" and {} more", items.size() - shown) : ""));
  }
};

// Checks everything, then copies everything, and only then changes the module.
StateDifference load_from(const std::string& source, Module& module, std::span<const NamedTensor> state, const LoadOptions& options) {
  const NoRecord pause;
  CollectMembers collect;
  module.visit(collect);
  const std::vector<Member>& members = collect.list;
  Comparison comparison(source, members, state);
  if (const std::string complaints = comparison.complaints(options); !complaints.empty())
    throw DataError(fmt::format("{}: does not fit {}: {}", source, module.label(), complaints));
  std::vector<Tensor> values(members.size());
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Tensor& own = members[i].value();
    if (const Tensor* value = comparison.values[i]) values[i] = value->constant().to(own.dtype()).clone(own.made_at());
  }
  for (std::size_t i = 0; i < members.size(); ++i)
    if (values[i].defined()) members[i].set(values[i]);
  return std::move(comparison.difference);
}

}  // namespace

std::vector<NamedTensor> state(const Module& module) {
  CollectState collect;
  module.inspect(collect);
  return std::move(collect.list);
}

StateDifference load_state(Module& module, std::span<const NamedTensor> state, const LoadOptions& options) {
  return load_from(options.source, module, state, options);
}

void save(const Module& module, const std::string& path, std::span<const std::pair<std::string, std::string>> metadata) {
  write_safetensors(path, state(module), metadata);
}

StateDifference load(Module& module, const std::string& path, const LoadOptions& options) {
  const Safetensors file = read_safetensors(path);
  return load_from(path, module, file.tensors, options);
}

}  // namespace wengert::nn
