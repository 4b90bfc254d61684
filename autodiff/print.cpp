#include "autodiff/print.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <vector>

namespace wengert {
namespace {

constexpr Index kMaxElements = 1000, kAtEachEnd = 3;

// Of an int64 tensor, which must be row-major, without a detour through a double.
std::string element_text(const Tensor& t, Index flat) {
  switch (t.dtype()) {
    case float32:
      return fmt::format("{}", static_cast<float>(t.element(flat)));
    case float64:
      return fmt::format("{}", t.element(flat));
    case int64:
      return fmt::format("{}", t.data<std::int64_t>()[flat]);
    case boolean:
      break;
  }
  return t.element(flat) != 0 ? "true" : "false";
}

// Prints one tensor. Positions are row-major, whatever the strides.
class Printer {
 public:
  explicit Printer(const Tensor& t) : t_(t.dtype() == int64 ? t.constant().contiguous() : t.constant()), shortened_(is_long(t)) {
    for_shown(0, 0, [&](Index flat) { width_ = std::max(width_, element_text(t_, flat).size()); });
  }
  std::string text() {
    print(0, 0);
    return out_ + fmt::format(" {} {}", to_string(t_.shape()), to_string(t_.dtype()));
  }

 private:
  // Without elements too: beside a 0 there may be a size beyond all bounds.
  static bool is_long(const Tensor& t) {
    return t.size() > kMaxElements || std::any_of(t.shape().begin(), t.shape().end(), [](Index n) { return n > kMaxElements; });
  }
  Index stride(int dim) const {
    std::uint64_t s = 1;  // without elements it may wrap
    for (int k = dim + 1; k < t_.rank(); ++k) s *= static_cast<std::uint64_t>(t_.size(k));
    return static_cast<Index>(s);
  }
  // The positions along a dimension that are shown; -1 for those left out.
  std::vector<Index> shown(int dim) const {
    std::vector<Index> list;
    const Index n = t_.size(dim);
    const bool gap = shortened_ && n > 2 * kAtEachEnd;
    for (Index i = 0; i < n; ++i) {
      if (gap && i == kAtEachEnd) {
        list.push_back(-1);
        i = n - kAtEachEnd;
      }
      list.push_back(i);
    }
    return list;
  }
  template <class F> void for_shown(int dim, Index first, F&& f) const {
    if (dim == t_.rank()) return f(first);
    for (Index i : shown(dim))
      if (i >= 0) for_shown(dim + 1, first + i * stride(dim), f);
  }
  void print(int dim, Index first) {
    if (dim == t_.rank()) {
      out_ += t_.rank() == 0 ? element_text(t_, first) : fmt::format("{:>{}}", element_text(t_, first), width_);
      return;
    }
    const bool innermost = dim + 1 == t_.rank();
    // Rows are on separate lines; blocks of rows are separated by an empty line.
    const std::string separator = innermost ? ", " : fmt::format(",{:\n>{}}{:>{}}", "", t_.rank() - dim - 1, "", dim + 1);
    out_ += '[';
    bool begun = false;
    for (Index i : shown(dim)) {
      if (begun) out_ += separator;
      begun = true;
      if (i < 0) {
        out_ += "...";
      } else {
        print(dim + 1, first + i * stride(dim));
      }
    }
    out_ += ']';
  }

  const Tensor t_;
  bool shortened_;
  std::size_t width_ = 0;
  std::string out_;
};

}  // namespace

std::string to_string(const Tensor& t) { return t.defined() ? Printer(t).text() : "undefined tensor"; }

std::ostream& operator<<(std::ostream& out, Dtype dtype) { return out << to_string(dtype); }
std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_string(shape); }
std::ostream& operator<<(std::ostream& out, const Tensor& t) { return out << to_string(t); }

}  // namespace wengert
