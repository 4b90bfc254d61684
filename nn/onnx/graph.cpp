#include "nn/onnx/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "autodiff/error.h"
#include "autodiff/io/in_quotes.h"
#include "autodiff/io/mapped_file.h"
#include "autodiff/io/protobuf.h"
#include "autodiff/tensor/dispatch.h"
#include "autodiff/version.h"

namespace wengert::nn::onnx {
namespace {

// Fields of the messages (onnx.proto3).
namespace model {
enum : unsigned { ir_version = 1, producer_name = 2, producer_version = 3, graph = 7, opset_import = 8, functions = 25 };
}
namespace opset {
enum : unsigned { domain = 1, version = 2 };
}
namespace graph {
enum : unsigned { node = 1, name = 2, initializer = 5, input = 11, output = 12, sparse_initializer = 15 };
}
namespace node {
enum : unsigned { input = 1, output = 2, name = 3, op_type = 4, attribute = 5, domain = 7 };
}
namespace attribute_field {
enum : unsigned { name = 1, f = 2, i = 3, s = 4, t = 5, floats = 7, ints = 8, strings = 9, type = 20 };
}
namespace tensor {
enum : unsigned {
  dims = 1,
  data_type = 2,
  segment = 3,
  float_data = 4,
  int32_data = 5,
  int64_data = 7,
  name = 8,
  raw_data = 9,
  double_data = 10,
  external_data = 13,
  data_location = 14
};
}
namespace value {
enum : unsigned { name = 1, type = 2 };
}
namespace type {
enum : unsigned { tensor = 1, element = 1, shape = 2, dim = 1, dim_value = 1, dim_param = 2 };
}

constexpr std::int64_t kIrVersion = 8;  // that of operator set 17

// TensorProto.DataType
enum class Element : std::uint8_t {
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  boolean = 9,
  float16 = 10,
  float64 = 11
};

Element element_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::float32:
      return Element::float32;
    case Dtype::float64:
      return Element::float64;
    case Dtype::int64:
      return Element::int64;
    default:
      return Element::boolean;
  }
}

// The dtype that elements of the file become.
std::optional<Dtype> dtype_of(std::int64_t element) {
  if (element < 0 || element > 255) return std::nullopt;
  switch (static_cast<Element>(element)) {
    case Element::float32:
    case Element::float16:
      return float32;
    case Element::float64:
      return float64;
    case Element::uint8:
    case Element::int8:
    case Element::int16:
    case Element::int32:
    case Element::int64:
      return int64;
    case Element::boolean:
      return boolean;
  }
  return std::nullopt;
}

// ---- writing -------------------------------------------------------------------------------------------------------------------------

ProtobufMessage message_of(const Tensor& t, std::string_view name) {
  const Tensor dense = t.constant().contiguous();
  ProtobufMessage m;
  for (const Index size : t.shape()) m.integer(tensor::dims, size);
  m.integer(tensor::data_type, static_cast<std::int64_t>(element_of(t.dtype())));
  if (!name.empty()) m.bytes(tensor::name, name);
  std::string_view elements;
  if (t.size() > 0)
    wengert::detail::dispatch(t.dtype(), [&](auto zero) {
      using T = decltype(zero);
      elements = {reinterpret_cast<const char*>(dense.data<T>()), static_cast<std::size_t>(t.size()) * sizeof(T)};
    });
  m.bytes(tensor::raw_data, elements);
  return m;
}

ProtobufMessage message_of(const Attribute& a) {
  ProtobufMessage m;
  m.bytes(attribute_field::name, a.name);
  switch (a.kind) {
    case Attribute::Kind::number:
      m.number(attribute_field::f, a.number);
      break;
    case Attribute::Kind::integer:
      m.integer(attribute_field::i, a.integer);
      break;
    case Attribute::Kind::text:
      m.bytes(attribute_field::s, a.text);
      break;
    case Attribute::Kind::tensor:
      m.message(attribute_field::t, message_of(a.tensor, ""));
      break;
    case Attribute::Kind::texts:
      for (const std::string& text : a.texts) m.bytes(attribute_field::strings, text);
      break;
    default:
      for (const std::int64_t i : a.integers) m.integer(attribute_field::ints, i);
  }
  m.integer(attribute_field::type, static_cast<std::int64_t>(a.kind));
  return m;
}

ProtobufMessage message_of(const Node& n) {
  ProtobufMessage m;
  for (const std::string& name : n.inputs) m.bytes(node::input, name);
  for (const std::string& name : n.outputs) m.bytes(node::output, name);
  m.bytes(node::name, n.name).bytes(node::op_type, n.operation);
  for (const Attribute& a : n.attributes) m.message(node::attribute, message_of(a));
  return m;
}

ProtobufMessage message_of(const Value& v) {
  ProtobufMessage shape;
  for (const Dimension& d : v.shape) {
    ProtobufMessage dim;
    if (d.size >= 0) {
      dim.integer(type::dim_value, d.size);
    } else if (!d.name.empty()) {
      dim.bytes(type::dim_param, d.name);
    }
    shape.message(type::dim, dim);
  }
  ProtobufMessage of_tensor, of_type;
  of_tensor.integer(type::element, static_cast<std::int64_t>(element_of(v.dtype))).message(type::shape, shape);
  of_type.message(type::tensor, of_tensor);
  ProtobufMessage m;
  m.bytes(value::name, v.name).message(value::type, of_type);
  return m;
}

// ---- reading -------------------------------------------------------------------------------------------------------------------------

// IEEE 754's binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
float from_half(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
  if (exponent == 0) return std::copysign(std::ldexp(static_cast<float>(fraction), -24), sign ? -1.0f : 1.0f);
  return std::bit_cast<float>(sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13);
}

template <class From, class To, class Convert> void copy_elements(ProtobufReader::Bytes from, Tensor& to, const Convert& convert) {
  To* const out = to.mutable_data<To>();
  for (Index i = 0; i < to.size(); ++i) {
    From stored;
    std::memcpy(&stored, from.data() + static_cast<std::size_t>(i) * sizeof stored, sizeof stored);
    out[i] = convert(stored);
  }
}

// How many bytes an element takes among the raw ones.
std::size_t bytes_of(Element e) {
  switch (e) {
    case Element::float64:
    case Element::int64:
      return 8;
    case Element::float32:
    case Element::int32:
      return 4;
    case Element::int16:
    case Element::float16:
      return 2;
    default:
      return 1;
  }
}

void copy_raw(Element e, ProtobufReader::Bytes from, Tensor& to) {
  const auto same = [](auto v) { return v; };
  const auto wide = [](auto v) { return static_cast<std::int64_t>(v); };
  switch (e) {
    case Element::float32:
      return copy_elements<float, float>(from, to, same);
    case Element::float64:
      return copy_elements<double, double>(from, to, same);
    case Element::int64:
      return copy_elements<std::int64_t, std::int64_t>(from, to, same);
    case Element::float16:
      return copy_elements<std::uint16_t, float>(from, to, from_half);
    case Element::uint8:
      return copy_elements<std::uint8_t, std::int64_t>(from, to, wide);
    case Element::int8:
      return copy_elements<std::int8_t, std::int64_t>(from, to, wide);
    case Element::int16:
      return copy_elements<std::int16_t, std::int64_t>(from, to, wide);
    case Element::int32:
      return copy_elements<std::int32_t, std::int64_t>(from, to, wide);
    case Element::boolean:
      return copy_elements<std::uint8_t, bool>(from, to, [](std::uint8_t v) { return v != 0; });
  }
}

// Elements in a field of their own type, float_data and its kin: one by one.
class TypedElements {
 public:
  TypedElements(const ProtobufReader& at, Tensor& to) : at_(at), to_(to) {}

  template <class V> void add(V v) {
    if (count_ == to_.size()) at_.fail(fmt::format("a tensor {} has more elements than its shape", to_string(to_.shape())));
    wengert::detail::dispatch(to_.dtype(), [&](auto zero) {
      using T = decltype(zero);
      if (!elements_) elements_ = to_.mutable_data<T>();
      static_cast<T*>(elements_)[count_] = static_cast<T>(v);
    });
    ++count_;
  }
  Index count() const { return count_; }

 private:
  const ProtobufReader& at_;
  Tensor& to_;
  void* elements_ = nullptr;
  Index count_ = 0;
};

NamedTensor read_tensor(ProtobufReader in) {
  std::string name;
  std::vector<Index> dims;
  std::int64_t element = 0;
  std::optional<ProtobufReader::Bytes> raw;
  const ProtobufReader from_start = in;
  bool typed = false;
  while (in.next()) {
    switch (in.field()) {
      case tensor::dims:
        in.integers([&](std::int64_t size) {
          if (size < 0) in.fail(fmt::format("a tensor has the size {}", size));
          if (dims.size() >= 64) in.fail("a tensor has more than 64 dimensions");
          dims.push_back(size);
        });
        break;
      case tensor::data_type:
        element = in.integer();
        break;
      case tensor::name:
        name = in.text();
        break;
      case tensor::raw_data:
        raw = in.bytes();
        break;
      case tensor::float_data:
      case tensor::int32_data:
      case tensor::int64_data:
      case tensor::double_data:
        typed = true;
        break;
      case tensor::segment:
        in.fail("a tensor in segments cannot be read");
      case tensor::data_location:
        if (in.integer() != 0)
          in.fail(fmt::format("the elements of the tensor {} are in another file; save the model in one file", in_quotes(name)));
        break;
      case tensor::external_data:
        in.fail(fmt::format("the elements of the tensor {} are in another file; save the model in one file", in_quotes(name)));
      default:
        break;
    }
  }
  const std::optional<Dtype> dtype = dtype_of(element);
  if (!dtype) in.fail(fmt::format("the tensor {} has elements of the type {}, which cannot be read", in_quotes(name), element));
  // The number of elements follows from the bytes that are there, so that no shape alone takes memory.
  const Shape shape{std::span<const Index>(dims)};
  Index size = 1;
  for (const Index d : dims)
    if (__builtin_mul_overflow(size, d, &size))
      in.fail(fmt::format("the tensor {} of the shape {} is too large", in_quotes(name), to_string(shape)));
  const auto e = static_cast<Element>(element);
  const auto wrong_size = [&](std::size_t count, const char* what) {
    in.fail(fmt::format("the tensor {} of the shape {} has {} {}", in_quotes(name), to_string(shape), count, what));
  };
  if (raw && !typed) {
    if (raw->size() % bytes_of(e) != 0 || raw->size() / bytes_of(e) != static_cast<std::size_t>(size)) wrong_size(raw->size(), "bytes");
    Tensor t = Tensor::uninitialized(shape, *dtype);
    if (size > 0) copy_raw(e, *raw, t);
    return {std::move(name), std::move(t)};
  }
  if (raw) in.fail(fmt::format("the tensor {} has its elements twice", in_quotes(name)));
  // An element takes a byte of the file at least.
  std::size_t available = 0;
  for (ProtobufReader again = from_start; again.next();)
    if (again.field() == tensor::float_data || again.field() == tensor::int32_data || again.field() == tensor::int64_data ||
        again.field() == tensor::double_data)
      available += again.type() == ProtobufReader::Type::bytes ? again.bytes().size() : 1;
  if (static_cast<std::size_t>(size) > available) wrong_size(available, "bytes");
  Tensor t = Tensor::uninitialized(shape, *dtype);
  TypedElements elements(in, t);
  for (ProtobufReader again = from_start; again.next();) {
    const auto belongs = [&](bool fits) {
      if (!fits) again.fail(fmt::format("the tensor {} has its elements in a field for another type", in_quotes(name)));
    };
    switch (again.field()) {
      case tensor::float_data:
        belongs(e == Element::float32);
        again.numbers<float>([&](float v) { elements.add(v); });
        break;
      case tensor::double_data:
        belongs(e == Element::float64);
        again.numbers<double>([&](double v) { elements.add(v); });
        break;
      case tensor::int64_data:
        belongs(e == Element::int64);
        again.integers([&](std::int64_t v) { elements.add(v); });
        break;
      case tensor::int32_data:
        belongs(e != Element::float32 && e != Element::float64 && e != Element::int64);
        again.integers([&](std::int64_t v) {
          if (e == Element::float16) return elements.add(from_half(static_cast<std::uint16_t>(v)));
          elements.add(v);
        });
        break;
      default:
        break;
    }
  }
  if (elements.count() != size) wrong_size(static_cast<std::size_t>(elements.count()), "elements");
  return {std::move(name), std::move(t)};
}

Attribute read_attribute(ProtobufReader in) {
  Attribute a;
  std::int64_t kind = 0;
  while (in.next()) {
    switch (in.field()) {
      case attribute_field::name:
        a.name = in.text();
        break;
      case attribute_field::f:
        a.number = in.number32();
        break;
      case attribute_field::i:
        a.integer = in.integer();
        break;
      case attribute_field::s:
        a.text = in.text();
        break;
      case attribute_field::t:
        a.tensor = read_tensor(in.message()).value;
        break;
      case attribute_field::floats:
        in.numbers<float>([&](float v) { a.numbers.push_back(v); });
        break;
      case attribute_field::ints:
        in.integers([&](std::int64_t v) { a.integers.push_back(v); });
        break;
      case attribute_field::strings:
        a.texts.emplace_back(in.text());
        break;
      case attribute_field::type:
        kind = in.integer();
        break;
      default:
        break;
    }
  }
  a.kind = kind >= 1 && kind <= 8 ? static_cast<Attribute::Kind>(kind) : Attribute::Kind::other;
  return a;
}

bool is_main_domain(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

Node read_node(ProtobufReader in) {
  Node n;
  std::string domain;
  while (in.next()) {
    switch (in.field()) {
      case node::input:
        n.inputs.emplace_back(in.text());
        break;
      case node::output:
        n.outputs.emplace_back(in.text());
        break;
      case node::name:
        n.name = in.text();
        break;
      case node::op_type:
        n.operation = in.text();
        break;
      case node::attribute:
        n.attributes.push_back(read_attribute(in.message()));
        break;
      case node::domain:
        domain = in.text();
        break;
      default:
        break;
    }
  }
  if (!is_main_domain(domain))
    in.fail(fmt::format("the node {} is {} of the operator set {}, of which nothing is known", in_quotes(n.name), in_quotes(n.operation),
                        in_quotes(domain)));
  return n;
}

void read_shape(ProtobufReader in, Value& v) {
  while (in.next()) {
    if (in.field() != type::dim) continue;
    Dimension d;
    for (ProtobufReader dim = in.message(); dim.next();) {
      if (dim.field() == type::dim_value) d.size = dim.integer();
      if (dim.field() == type::dim_param) d.name = dim.text();
    }
    if (d.size < -1) in.fail(fmt::format("{} has the size {}", in_quotes(v.name), d.size));
    v.shape.push_back(std::move(d));
  }
}

Value read_value(ProtobufReader in) {
  Value v;
  bool tensor = false;
  while (in.next()) {
    if (in.field() == value::name) v.name = in.text();
    if (in.field() != value::type) continue;
    for (ProtobufReader of_type = in.message(); of_type.next();) {
      if (of_type.field() != type::tensor) continue;
      tensor = true;
      for (ProtobufReader t = of_type.message(); t.next();) {
        if (t.field() == type::element) {
          const auto dtype = dtype_of(t.integer());
          if (!dtype) t.fail(fmt::format("{} has elements of the type {}, which cannot be read", in_quotes(v.name), t.integer()));
          v.dtype = *dtype;
        }
        if (t.field() == type::shape) read_shape(t.message(), v);
      }
    }
  }
  if (!tensor) in.fail(fmt::format("{} is not a tensor", in_quotes(v.name)));
  return v;
}

Graph read_graph(ProtobufReader in) {
  Graph g;
  while (in.next()) {
    switch (in.field()) {
      case graph::node:
        g.nodes.push_back(read_node(in.message()));
        break;
      case graph::initializer:
        g.initializers.push_back(read_tensor(in.message()));
        break;
      case graph::input:
        g.inputs.push_back(read_value(in.message()));
        break;
      case graph::output:
        g.outputs.push_back(read_value(in.message()));
        break;
      case graph::sparse_initializer:
        in.fail("sparse tensors cannot be read");
      default:
        break;
    }
  }
  return g;
}

}  // namespace

Attribute attribute(std::string_view name, std::int64_t value) {
  return {.name = std::string(name), .kind = Attribute::Kind::integer, .integer = value};
}
Attribute attribute(std::string_view name, float value) {
  return {.name = std::string(name), .kind = Attribute::Kind::number, .number = value};
}
Attribute attribute(std::string_view name, std::string_view value) {
  return {.name = std::string(name), .kind = Attribute::Kind::text, .text = std::string(value)};
}
Attribute attribute(std::string_view name, std::vector<std::int64_t> values) {
  return {.name = std::string(name), .kind = Attribute::Kind::integers, .integers = std::move(values)};
}
Attribute attribute(std::string_view name, const Tensor& value) {
  return {.name = std::string(name), .kind = Attribute::Kind::tensor, .tensor = value};
}

const Attribute* Node::find(std::string_view attribute) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(), [&](const Attribute& a) { return a.name == attribute; });
  return found == attributes.end() ? nullptr : &*found;
}

std::string to_bytes(const Graph& g) {
  ProtobufMessage of_graph;
  for (const Node& n : g.nodes) of_graph.message(graph::node, message_of(n));
  of_graph.bytes(graph::name, "wengert");
  for (const NamedTensor& t : g.initializers) of_graph.message(graph::initializer, message_of(t.value, t.name));
  for (const Value& v : g.inputs) of_graph.message(graph::input, message_of(v));
  for (const Value& v : g.outputs) of_graph.message(graph::output, message_of(v));
  ProtobufMessage of_opset, of_model;
  of_opset.bytes(opset::domain, "").integer(opset::version, kOpset);
  of_model.integer(model::ir_version, kIrVersion).bytes(model::producer_name, "wengert").bytes(model::producer_version, version());
  of_model.message(model::graph, of_graph).message(model::opset_import, of_opset);
  if (of_model.text().size() > std::numeric_limits<std::int32_t>::max())
    throw ValueError(fmt::format("an ONNX file holds 2 GiB at most, but this model would take {} bytes", of_model.text().size()));
  return of_model.text();
}

Graph read_graph(const std::string& path) {
  const MappedFile file(path);
  ProtobufReader in(path, file.bytes());
  std::optional<ProtobufReader> of_graph;
  std::optional<std::int64_t> version;
  while (in.next()) {
    switch (in.field()) {
      case model::graph:
        if (of_graph) in.fail("there are two graphs");
        of_graph = in.message();
        break;
      case model::functions:
        in.fail("functions of the model's own cannot be read");
      case model::opset_import: {
        std::string domain;
        std::int64_t number = 0;
        for (ProtobufReader set = in.message(); set.next();) {
          if (set.field() == opset::domain) domain = set.text();
          if (set.field() == opset::version) number = set.integer();
        }
        if (is_main_domain(domain)) version = number;
        break;
      }
      default:
        break;
    }
  }
  if (!of_graph || !version)
    throw DataError(fmt::format("{}: this is no ONNX file: it has no {}", path, of_graph ? "operator set" : "graph"));
  if (*version < kMinOpset || *version > kMaxOpset)
    throw DataError(
        fmt::format("{}: the operator set is of version {}, but only {} to {} can be read", path, *version, kMinOpset, kMaxOpset));
  return read_graph(*of_graph);
}

}  // namespace wengert::nn::onnx
