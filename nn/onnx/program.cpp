#include "nn/onnx/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "autodiff/error.h"
#include "autodiff/io/in_quotes.h"

namespace wengert::nn::onnx {

// ---- a node --------------------------------------------------------------------------------------------------------------------------

double shortest_decimal(float v) {
  double decimal = 0;
  const std::string digits = fmt::format("{}", v);
  std::from_chars(digits.data(), digits.data() + digits.size(), decimal);
  return decimal;
}

NodeReader::NodeReader(const std::string& path, const Node& node, std::vector<Tensor> operands, std::vector<int> state)
    : path_(path), node_(node), operands_(std::move(operands)), state_(std::move(state)) {}

std::string NodeReader::describe() const { return fmt::format("node {} ({})", in_quotes(node_.name), in_quotes(node_.operation)); }

void NodeReader::fail(const std::string& what) const { throw DataError(fmt::format("{}: {}: {}", path_, describe(), what)); }

const Attribute* NodeReader::attribute(std::string_view name) {
  read_.push_back(name);
  return node_.find(name);
}
const Attribute* NodeReader::find(std::string_view name, Attribute::Kind kind) {
  const Attribute* const found = attribute(name);
  if (found && found->kind != kind) fail(fmt::format("the attribute {} has another type", name));
  return found;
}
std::int64_t NodeReader::integer(std::string_view name, std::int64_t otherwise) {
  const Attribute* const found = find(name, Attribute::Kind::integer);
  return found ? found->integer : otherwise;
}
double NodeReader::number(std::string_view name, double otherwise) {
  const Attribute* const found = find(name, Attribute::Kind::number);
  return found ? shortest_decimal(found->number) : otherwise;
}
std::string NodeReader::text(std::string_view name, std::string_view otherwise) {
  const Attribute* const found = find(name, Attribute::Kind::text);
  return found ? found->text : std::string(otherwise);
}
std::vector<std::int64_t> NodeReader::integers(std::string_view name) {
  const Attribute* const found = find(name, Attribute::Kind::integers);
  return found ? found->integers : std::vector<std::int64_t>();
}
void NodeReader::require(std::string_view name, std::int64_t only) {
  const std::int64_t found = integer(name, only);
  if (found != only) fail(fmt::format("{} = {} is not known, only {}", name, found, only));
}
void NodeReader::check_all_read() const {
  for (const Attribute& a : node_.attributes)
    if (std::find(read_.begin(), read_.end(), a.name) == read_.end()) fail(fmt::format("the attribute {} is not known", in_quotes(a.name)));
}
void NodeReader::arity(std::size_t min, std::size_t max, std::size_t results) const {
  const std::size_t n = node_.inputs.size();
  if (n < min || n > max) fail(fmt::format("it has {} operands", n));
  for (std::size_t i = 0; i < min; ++i)
    if (!given(i)) fail(fmt::format("operand {} is missing", i + 1));
  std::size_t used = 0;
  for (std::size_t k = 0; k < node_.outputs.size(); ++k)
    if (!node_.outputs[k].empty()) used = k + 1;
  if (used == 0 || used > results) fail(fmt::format("it has {} results", used));
}

// ---- the graph -----------------------------------------------------------------------------------------------------------------------

namespace {

class Loader {
 public:
  Loader(const std::string& path, const Graph& graph) : graph_(graph) { result_.program.path = path; }

  LoadedProgram load() {
    count_uses();
    add_initializers();
    add_inputs();
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) add_node(i);
    for (const Value& v : graph_.outputs) {
      program().outputs.push_back(v.name);
      program().output_values.push_back(known(v.name, [&] { return fmt::format("the output {}", in_quotes(v.name)); }));
    }
    if (graph_.outputs.empty()) fail("the graph has no outputs");
    drop_unused();
    find_last_uses();
    return std::move(result_);
  }

 private:
  Program& program() { return result_.program; }
  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", result_.program.path, what)); }

  // A new value with this name.
  int define(const std::string& name) {
    const int value = program().values++;
    if (!values_.emplace(name, value).second) fail(fmt::format("two values have the name {}", in_quotes(name)));
    constants_.emplace_back();
    state_of_.push_back(-1);
    return value;
  }
  template <class F> int known(const std::string& name, const F& user) const {
    const auto found = values_.find(name);
    if (found == values_.end())
      fail(fmt::format(
          "{} uses {}, which nothing before it computes; nodes must come behind those whose results they use, and not in a cycle", user(),
          in_quotes(name)));
    return found->second;
  }

  void count_uses() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& n = graph_.nodes[i];
      for (const std::string& name : n.inputs) ++uses_[name];
      for (const std::string& name : n.outputs)
        if (!name.empty()) producers_.emplace(name, i);
      if (n.operation == "BatchNormalization")
        for (std::size_t k = 3; k < std::min<std::size_t>(n.inputs.size(), 5); ++k) statistics_.insert(n.inputs[k]);
    }
    for (const Value& v : graph_.outputs) ++uses_[v.name];
  }

  void add_initializers() {
    for (const NamedTensor& t : graph_.initializers) {
      if (t.name.empty()) fail("an initializer has no name");
      const int value = define(t.name);
      ranks_.emplace(t.name, t.value.rank());
      if (!is_floating(t.value.dtype())) {
        set_constant(value, t.value);
      } else if (statistics_.contains(t.name)) {
        state_of_.back() = static_cast<int>(result_.state.size());
        program().state.push_back(value);
        result_.state.push_back(t);
      } else {
        program().trained.push_back(value);
        result_.trained.push_back(t);
      }
    }
  }

  void add_inputs() {
    for (const Value& v : graph_.inputs) {
      if (ranks_.contains(v.name)) continue;  // old files list initializers among the inputs
      program().inputs.push_back(v.name);
      program().input_values.push_back(define(v.name));
    }
  }

  void set_constant(int value, const Tensor& t) {
    constants_[static_cast<std::size_t>(value)] = t;
    program().constants.emplace_back(value, t);
  }

  void add_node(std::size_t i) {
    current_ = i;
    const Node& n = graph_.nodes[i];
    const auto user = [&] { return fmt::format("node {} ({})", in_quotes(n.name), in_quotes(n.operation)); };
    std::vector<int> in;
    std::vector<Tensor> constants;
    std::vector<int> state;
    for (const std::string& name : n.inputs) {
      in.push_back(name.empty() ? -1 : known(name, user));
      constants.push_back(in.back() < 0 ? Tensor() : constants_[static_cast<std::size_t>(in.back())]);
      state.push_back(in.back() < 0 ? -1 : state_of_[static_cast<std::size_t>(in.back())]);
    }
    NodeReader reader(program().path, n, std::move(constants), std::move(state));
    if (n.operation == "Constant") return add_constant(reader);
    Step step{.what = reader.describe(), .in = std::move(in)};
    Run fused = fuse(n, step.in);
    step.run = fused ? std::move(fused) : make_run(reader);
    for (const std::string& name : n.outputs) step.out.push_back(name.empty() ? -1 : define(name));
    program().steps.push_back(std::move(step));
  }

  void add_constant(NodeReader& reader) {
    reader.arity(0, 0);
    const Attribute* const value = reader.attribute("value");
    Tensor t;
    if (value && value->tensor.defined()) {
      t = value->tensor;
    } else if (reader.has("value_int")) {
      t = Tensor::full({}, reader.integer("value_int", 0), int64);
    } else if (reader.has("value_float")) {
      t = Tensor::full({}, reader.number("value_float", 0), float32);
    } else if (reader.has("value_ints")) {
      t = Tensor::from(reader.integers("value_ints"));
    } else {
      reader.fail("its value is missing or of an unknown kind");
    }
    reader.check_all_read();
    set_constant(define(reader.node().outputs[0]), t);
  }

  // ---- several nodes as one operation

  // The node that computes a value and does it for a single user; null if there is none.
  const Node* only_source(const std::string& name, std::string_view operation) const {
    const auto uses = uses_.find(name);
    if (uses == uses_.end() || uses->second != 1) return nullptr;
    const Node* const n = source(name);
    return n && n->operation == operation && !n->inputs.empty() && n->outputs.size() == 1 ? n : nullptr;
  }
  const Node* source(const std::string& name) const {
    const auto found = producers_.find(name);
    return found == producers_.end() || found->second >= current_ ? nullptr : &graph_.nodes[found->second];
  }
  int value_of(const std::string& name) const { return values_.at(name); }
  // The rank of an initializer; -1 of anything else.
  int rank_of_initializer(const std::string& name) const {
    const auto found = ranks_.find(name);
    return found == ranks_.end() ? -1 : found->second;
  }

  // The weight of a product by its transpose: W of MatMul(x, Transpose(W)); empty if it is something else.
  std::string transposed_weight(const Node& product) const {
    if (product.operation != "MatMul" || product.inputs.size() != 2 || product.inputs[0].empty()) return {};
    const Node* const turned = source(product.inputs[1]);
    if (!turned || turned->operation != "Transpose" || turned->inputs.size() != 1 || rank_of_initializer(turned->inputs[0]) != 2) return {};
    const Attribute* const perm = turned->find("perm");
    return !perm || perm->integers == std::vector<std::int64_t>{1, 0} ? turned->inputs[0] : std::string();
  }
  // The operands of a linear layer that computes a value as MatMul(x, Transpose(W)) + b; empty if it is something else.
  std::vector<int> linear_sum(const Node& n) const {
    if (n.operation != "Add" || n.inputs.size() != 2) return {};
    for (const std::size_t k : {std::size_t{0}, std::size_t{1}}) {
      const Node* const product = only_source(n.inputs[k], "MatMul");
      if (!product || rank_of_initializer(n.inputs[1 - k]) != 1) continue;
      const std::string weight = transposed_weight(*product);
      if (!weight.empty()) return {value_of(product->inputs[0]), value_of(weight), value_of(n.inputs[1 - k])};
    }
    return {};
  }
  // The same for Gemm.
  std::vector<int> linear_gemm(const Node& n) const {
    if (n.operation != "Gemm" || n.inputs.size() < 2) return {};
    for (const Attribute& a : n.attributes) {
      const bool usual = a.name == "transB" ? a.integer == 1 : a.name == "transA" ? a.integer == 0 : a.number == 1;
      if (!usual) return {};
    }
    if (!n.find("transB") || rank_of_initializer(n.inputs[1]) != 2) return {};
    std::vector<int> in{value_of(n.inputs[0]), value_of(n.inputs[1])};
    if (n.inputs.size() > 2 && !n.inputs[2].empty()) {
      if (rank_of_initializer(n.inputs[2]) != 1) return {};
      in.push_back(value_of(n.inputs[2]));
    }
    return in;
  }
  // Of a pooling: the size of its windows if they are square, do not overlap, and nothing else is said of them; else 0.
  static Index simple_window(const Node& n) {
    const Attribute *const kernel = n.find("kernel_shape"), *const strides = n.find("strides");
    if (!kernel || !strides || kernel->integers.size() != 2 || kernel->integers != strides->integers) return 0;
    if (kernel->integers[0] != kernel->integers[1] || kernel->integers[0] < 2) return 0;
    for (const Attribute& a : n.attributes) {
      const auto all = [&](std::int64_t v) {
        return std::all_of(a.integers.begin(), a.integers.end(), [=](std::int64_t i) { return i == v; });
      };
      const bool usual = a.name == "kernel_shape" || a.name == "strides" || (a.name == "pads" && all(0)) ||
                         (a.name == "dilations" && all(1)) || ((a.name == "ceil_mode" || a.name == "storage_order") && a.integer == 0);
      if (!usual) return 0;
    }
    return kernel->integers[0];
  }
  Run convolution_relu(const Node& convolution, Index pool, std::vector<int>& in) const {
    NodeReader reader(result_.program.path, convolution, {}, {});
    reader.arity(2, 3);
    Run run = convolution_relu_run(reader, pool);
    reader.check_all_read();
    in.clear();
    for (const std::string& name : convolution.inputs) in.push_back(name.empty() ? -1 : value_of(name));
    return run;
  }

  // A function for this node and those before it, with `in` set to their operands; empty if there is none. Those nodes may lose their only
  // user, and are dropped then.
  Run fuse(const Node& n, std::vector<int>& in) const {
    if (std::vector<int> operands = linear_sum(n); !operands.empty()) {
      in = std::move(operands);
      return linear_run(false);
    }
    if (const std::string weight = transposed_weight(n); !weight.empty()) {
      in = {value_of(n.inputs[0]), value_of(weight)};
      return linear_run(false);
    }
    if (n.operation == "Relu" && n.inputs.size() == 1) {
      for (const char* const sum : {"Gemm", "Add"})
        if (const Node* const before = only_source(n.inputs[0], sum)) {
          std::vector<int> operands = *sum == 'G' ? linear_gemm(*before) : linear_sum(*before);
          if (operands.empty()) continue;
          in = std::move(operands);
          return linear_run(true);
        }
      if (const Node* const before = only_source(n.inputs[0], "Conv")) return convolution_relu(*before, 1, in);
    }
    if (n.operation == "MaxPool" && n.inputs.size() == 1 && n.outputs.size() == 1 && simple_window(n) > 0)
      if (const Node* const before = only_source(n.inputs[0], "Relu"))
        if (const Node* const convolution = only_source(before->inputs[0], "Conv"))
          return convolution_relu(*convolution, simple_window(n), in);
    return {};
  }

  // ---- what is used

  void drop_unused() {
    std::vector<char> needed(static_cast<std::size_t>(program().values));
    for (const int v : program().output_values) needed[static_cast<std::size_t>(v)] = true;
    std::vector<Step> kept;
    for (auto step = program().steps.rbegin(); step != program().steps.rend(); ++step) {
      if (std::none_of(step->out.begin(), step->out.end(), [&](int v) { return v >= 0 && needed[static_cast<std::size_t>(v)]; })) continue;
      for (const int v : step->in)
        if (v >= 0) needed[static_cast<std::size_t>(v)] = true;
      kept.push_back(std::move(*step));
    }
    program().steps.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
    const auto keep = [&](std::vector<int>& values, std::vector<NamedTensor>& tensors) {
      std::vector<int> values_kept;
      std::vector<NamedTensor> tensors_kept;
      for (std::size_t i = 0; i < values.size(); ++i)
        if (needed[static_cast<std::size_t>(values[i])]) {
          values_kept.push_back(values[i]);
          tensors_kept.push_back(std::move(tensors[i]));
        }
      values = std::move(values_kept);
      tensors = std::move(tensors_kept);
    };
    keep(program().trained, result_.trained);  // a parameter without influence has no gradient
    std::erase_if(program().constants, [&](const auto& c) { return !needed[static_cast<std::size_t>(c.first)]; });
  }

  void find_last_uses() {
    std::vector<char> seen(static_cast<std::size_t>(program().values));
    for (const int v : program().output_values) seen[static_cast<std::size_t>(v)] = true;
    for (auto step = program().steps.rbegin(); step != program().steps.rend(); ++step)
      for (const std::vector<int>* const list : {&step->in, &step->out})
        for (const int v : *list)
          if (v >= 0 && !std::exchange(seen[static_cast<std::size_t>(v)], true)) step->last.push_back(v);
  }

  const Graph& graph_;
  LoadedProgram result_;
  std::unordered_map<std::string, int> values_, uses_, ranks_;  // ranks: of initializers
  std::unordered_map<std::string, std::size_t> producers_;
  std::unordered_set<std::string> statistics_;
  std::vector<Tensor> constants_;  // by value; undefined if it is none
  std::vector<int> state_of_;      // by value; -1 if it is none
  std::size_t current_ = 0;        // the node whose step is made
};

}  // namespace

LoadedProgram load_program(const std::string& path, const Graph& graph) { return Loader(path, graph).load(); }

}  // namespace wengert::nn::onnx
