#pragma once
// A program recorded as a value. `record` runs a function of numbers once and keeps what it computed as a list of elementary operations,
// which can then be evaluated for many inputs at once, differentiated, printed and written to a file:
//
//     auto error = [](auto p, auto d) { return 0.5 * square(d[1] - sigmoid(p[0] * d[0] + p[1])); };
//     const Program E = record(error, {.parameters = 2, .data = 2}, {0.1, 0.2, 1.0, 0.0});
//     auto [total, gradient] = E.sum_and_gradient(w_and_b, {inputs, targets});     // over all records
//     const Program dE = gradient(E);                                              // a program again
//
// A lane is one set of data inputs. What the function decides by the values of its inputs is a guard. A lane for which a guard turns out
// otherwise than it did in the recording takes another path: the function is called again with that lane's inputs and recorded, and the
// lanes are sorted by their paths. So each lane gets what the function computes for it.
//
// The function must do the same whenever it has the same inputs. It is kept in the program; whatever it refers to must live as long.
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/program/columns.h"
#include "autodiff/program/recorded.h"

namespace wengert {

class Program;
struct PathReport;

struct RecordOptions {
  int parameters = 0;   ///< how many inputs all lanes share
  int data = 0;         ///< how many inputs each lane has of its own
  int max_paths = 256;  ///< lanes that take more are an error
};

namespace detail {

class PathSet;
class PathSource;

/// A function that can be recorded.
class RecordedFunction {
 public:
  virtual ~RecordedFunction() = default;
  virtual void call(std::span<const Recorded> inputs, std::size_t parameters, std::vector<Recorded>& outputs) = 0;
};

template <class Result> void add_outputs(const Result& result, std::vector<Recorded>& outputs) {
  if constexpr (std::convertible_to<const Result&, Recorded>) {
    outputs.push_back(result);
  } else if constexpr (std::ranges::range<const Result&>) {
    for (const auto& y : result) add_outputs(y, outputs);
  } else {
    std::apply([&](const auto&... y) { (add_outputs(y, outputs), ...); }, result);
  }
}

template <class F> class RecordedCallable : public RecordedFunction {
 public:
  explicit RecordedCallable(F f) : f_(std::move(f)) {}
  void call(std::span<const Recorded> inputs, std::size_t parameters, std::vector<Recorded>& outputs) override {
    using Inputs = std::span<const Recorded>;
    if constexpr (std::invocable<F&, Inputs, Inputs>) {
      add_outputs(f_(inputs.first(parameters), inputs.subspan(parameters)), outputs);
    } else {
      add_outputs(f_(inputs), outputs);
    }
  }

 private:
  F f_;
};

Program record(std::shared_ptr<RecordedFunction> f, const RecordOptions& options, std::span<const double> example);

}  // namespace detail

/// An immutable program. Copies share it. All members may be called by several threads at once.
class Program {
 public:
  /// A program of one path without a function. A ValueError if the list is not sound.
  explicit Program(WengertList list);
  /// The same of several paths, each of which agrees with the first up to a guard.
  explicit Program(std::vector<WengertList> paths);

  /// The number of parameters, of data inputs, and of outputs.
  int parameters() const;
  int data() const;
  int outputs() const;
  /// What was recorded at the example.
  const WengertList& list() const;
  /// How many paths are known so far, and the list of one of them. The first one is list().
  int paths() const;
  const WengertList& path(int i) const;

  // Evaluation, in float64, and in float32 where the numbers are that. `columns` are the data of any number of lanes, `record` those of
  // one, and `inputs` the parameters and then the data of one. Results have the same bits for any number of threads; sums over lanes are
  // added in a tree that depends on the number of lanes and on their paths alone. A call that writes its result to `to` takes no memory
  // from the heap once it has run.
  //
  // A ShapeError if sizes do not fit. A ValueError if a program of several outputs is asked for its one value, if a lane leaves all known
  // paths and the program has no function, and if lanes take more than .max_paths paths.
  //
  //   (inputs), (parameters, record)   the one output of one lane
  //   values                           all outputs: of one lane, or [output][lane]
  //   sum                              the one output, summed over the lanes
  //   sum_and_gradient                 the same and its derivatives with respect to the parameters, by a reverse sweep
  //   value_and_gradient               the one output of one lane and its derivatives with respect to all inputs, by a reverse sweep
  //   vjp                              J^T y_bar for y_bar of [output][lane]: for the data to [data][lane], and for the parameters, summed
  //                                    over the lanes; a derivative whose span is empty is not computed
  //   report                           which path each lane takes; lanes without a path are listed there and are no error
#define WENGERT_EVALUATION(T)                                                                                             \
  T operator()(std::span<const T> inputs) const;                                                                          \
  T operator()(std::span<const T> parameters, std::span<const T> record) const;                                           \
  std::vector<T> values(std::span<const T> inputs) const;                                                                 \
  std::vector<T> values(std::span<const T> parameters, const BasicColumns<T>& columns) const;                             \
  void values(std::span<const T> parameters, const BasicColumns<T>& columns, std::span<T> to) const;                      \
  T sum(std::span<const T> parameters, const BasicColumns<T>& columns) const;                                             \
  std::pair<T, std::vector<T>> sum_and_gradient(std::span<const T> parameters, const BasicColumns<T>& columns) const;     \
  T sum_and_gradient(std::span<const T> parameters, const BasicColumns<T>& columns, std::span<T> to) const;               \
  std::pair<T, std::vector<T>> value_and_gradient(std::span<const T> inputs) const;                                       \
  void vjp(std::span<const T> parameters, const BasicColumns<T>& columns, std::span<const T> y_bar, std::span<T> to_data, \
           std::span<T> to_parameters = {}) const;                                                                        \
  PathReport report(std::span<const T> parameters, const BasicColumns<T>& columns) const;
  WENGERT_EVALUATION(double)
  WENGERT_EVALUATION(float)
#undef WENGERT_EVALUATION

  /// The program at recorded inputs, for a program that calls this one: its operations are recorded, and its guards asked again.
  std::vector<Recorded> values(std::span<const Recorded> inputs) const;

  /// Whether the first paths are equal: the same operations on the same inputs in the same order.
  friend bool operator==(const Program& a, const Program& b) { return a.list() == b.list(); }

 private:
  friend struct ProgramAccess;
  friend Program detail::record(std::shared_ptr<detail::RecordedFunction> f, const RecordOptions& options, std::span<const double> example);
  explicit Program(std::shared_ptr<detail::PathSet> paths);
  std::shared_ptr<detail::PathSet> paths_;
};

/// Runs f once, at the example (its parameters and then its data), and keeps what it computed. f is called with two spans, of parameters
/// and of data, or if it does not take that with one span of all inputs. Its numbers are of type Recorded; code that is generic in its
/// scalar type runs unchanged. It returns a number, or an array, vector, pair or tuple of them.
template <class F> Program record(F&& f, const RecordOptions& options, std::span<const double> example) {
  return detail::record(std::make_shared<detail::RecordedCallable<std::decay_t<F>>>(std::forward<F>(f)), options, example);
}
template <class F> Program record(F&& f, const RecordOptions& options, std::initializer_list<double> example) {
  return record(std::forward<F>(f), options, std::span(example.begin(), example.size()));
}

/// How lanes are spread over the paths of a program.
struct PathReport {
  struct Path {
    int number = 0;
    int parent = -1;       ///< the path that it forks from; -1: the first path
    Index lanes = 0;       ///< that take it
    Index operations = 0;  ///< of its list
    Index guards = 0;
    std::string fork;  ///< the guard at which it forks, and its outcome there: "guard 3, model.cpp:41: v12 < 0.5 is false"
  };
  struct Departure {
    Index lane = 0;
    int path = 0;       ///< the last path that it followed
    Index guard = 0;    ///< where it left
    std::string asked;  ///< "guard 3, model.cpp:41: v12 < 0.5"
  };
  Index lanes = 0;
  std::vector<Path> paths;      ///< all that are known, also without lanes
  std::vector<Departure> left;  ///< the lanes that take none of them
};
/// As a table.
std::string to_string(const PathReport& report);

}  // namespace wengert
