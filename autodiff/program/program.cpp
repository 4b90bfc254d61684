#include "autodiff/program/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <mutex>

#include "autodiff/program/evaluate.h"
#include "autodiff/program/paths.h"
#include "autodiff/program/recorder.h"
#include "autodiff/program/replay.h"

namespace wengert {
namespace detail {
namespace {

class CallableSource : public PathSource {
 public:
  explicit CallableSource(std::shared_ptr<RecordedFunction> f) : f_(std::move(f)) {}

  WengertList record(std::span<const double> parameters, std::span<const double> data, bool in_float32) const override {
    const std::scoped_lock lock(mutex_);  // functions may have state of their own
    Recorder recorder(in_float32 ? Computed::float32 : Computed::float64);
    std::vector<Recorded> inputs, outputs;
    for (std::span<const double> group : {parameters, data})
      for (double x : group) inputs.push_back(recorder.input(x));
    f_->call(inputs, parameters.size(), outputs);
    return recorder.finish(static_cast<std::uint32_t>(parameters.size()), outputs);
  }

 private:
  std::shared_ptr<RecordedFunction> f_;
  mutable std::mutex mutex_;
};

template <class T> int path_of_lane(PathSet& paths, std::span<const double> parameters, std::span<const double> data) {
  const std::vector<T> p(parameters.begin(), parameters.end()), d(data.begin(), data.end());
  std::vector<const T*> columns;
  columns.reserve(d.size());
  for (const T& x : d) columns.push_back(&x);
  std::int32_t path = 0;
  Request<T> request;
  request.parameters = p;
  request.columns = columns.data();
  request.paths = &path;
  evaluate(paths, request);
  return path;
}

void check_sound(const WengertList& list) {
  if (const std::string defect = defect_of(list); !defect.empty()) throw ValueError("Program: its list is not sound: " + defect);
}

}  // namespace

int path_of(PathSet& paths, std::span<const double> parameters, std::span<const double> data, bool in_float32) {
  return in_float32 ? path_of_lane<float>(paths, parameters, data) : path_of_lane<double>(paths, parameters, data);
}

Program record(std::shared_ptr<RecordedFunction> f, const RecordOptions& options, std::span<const double> example) {
  if (options.parameters < 0 || options.data < 0)
    throw ValueError(fmt::format("record: .parameters is {} and .data is {}; both must be 0 or more", options.parameters, options.data));
  const auto parameters = static_cast<std::size_t>(options.parameters), data = static_cast<std::size_t>(options.data);
  if (example.size() != parameters + data)
    throw ShapeError(fmt::format("record: the example has {} numbers; .parameters = {} and .data = {} make {}", example.size(), parameters,
                                 data, parameters + data));
  auto source = std::make_shared<CallableSource>(std::move(f));
  WengertList first = source->record(example.first(parameters), example.subspan(parameters), false);
  return Program(std::make_shared<PathSet>(std::move(first), std::move(source), options.max_paths));
}

}  // namespace detail

namespace {

constexpr int kMostPaths = RecordOptions{}.max_paths;

template <class T> class Caller {
 public:
  Caller(const char* name, const Program& program, detail::PathSet& paths, std::span<const T> parameters)
      : name_(name), program_(program), paths_(paths) {
    if (parameters.size() != static_cast<std::size_t>(program.parameters()))
      throw ShapeError(fmt::format("{}: {} parameters for a program of {}", name, parameters.size(), program.parameters()));
    request.parameters = parameters;
  }
  void set(const BasicColumns<T>& columns) {
    if (columns.size() != static_cast<std::size_t>(program_.data()))
      throw ShapeError(fmt::format("{}: {} columns of data for a program of {}", name_, columns.size(), program_.data()));
    if (columns.lanes() >= static_cast<Index>(std::numeric_limits<std::uint32_t>::max()))
      throw ShapeError(fmt::format("{}: {} lanes are too many for one call", name_, columns.lanes()));
    request.columns = columns.pointers();
    request.lanes = columns.lanes();
  }
  void need_one_output() const {
    if (program_.outputs() != 1)
      throw ValueError(
          fmt::format("{}: the program has {} outputs, not one; hint: values takes any number, output(program, i) is one of them", name_,
                      program_.outputs()));
  }
  void need(const char* what, std::size_t size, Index expected) const {
    if (static_cast<Index>(size) != expected)
      throw ShapeError(fmt::format("{}: {} has {} numbers; it needs {}", name_, what, size, expected));
  }
  void run() { detail::evaluate(paths_, request); }

  detail::Request<T> request;

 private:
  const char* name_;
  const Program& program_;
  detail::PathSet& paths_;
};

// One lane, of which `record` are the data.
template <class T> class OneLane {
 public:
  explicit OneLane(std::span<const T> record) {
    for (const T& x : record) columns_.add({&x, 1});
    if (record.empty()) columns_ = BasicColumns<T>::without_data(1);
  }
  const BasicColumns<T>& columns() const { return columns_; }

 private:
  BasicColumns<T> columns_;
};

void check_inputs(const char* name, const Program& program, std::size_t size) {
  const auto inputs = static_cast<std::size_t>(program.parameters()) + static_cast<std::size_t>(program.data());
  if (size != inputs)
    throw ShapeError(fmt::format("{}: {} inputs for a program of {} ({} parameters, {} data)", name, size, inputs, program.parameters(),
                                 program.data()));
}

}  // namespace

Program::Program(std::shared_ptr<detail::PathSet> paths) : paths_(std::move(paths)) {}
Program::Program(WengertList list) {
  detail::check_sound(list);
  paths_ = std::make_shared<detail::PathSet>(std::move(list), nullptr, kMostPaths);
}
Program::Program(std::vector<WengertList> paths) {
  if (paths.empty()) throw ValueError("Program: it has no path");
  for (const WengertList& path : paths) {
    detail::check_sound(path);
    if (path.parameters != paths[0].parameters || path.data != paths[0].data || path.outputs.size() != paths[0].outputs.size())
      throw ValueError("Program: its paths differ in the number of inputs or outputs");
  }
  paths_ = std::make_shared<detail::PathSet>(std::move(paths[0]), nullptr, std::max(kMostPaths, static_cast<int>(paths.size())));
  for (std::size_t i = 1; i < paths.size(); ++i) paths_->add(std::move(paths[i]));
}

int Program::parameters() const { return static_cast<int>(list().parameters); }
int Program::data() const { return static_cast<int>(list().data); }
int Program::outputs() const { return static_cast<int>(list().outputs.size()); }
const WengertList& Program::list() const { return (*paths_)[0].list; }
int Program::paths() const { return paths_->size(); }
const WengertList& Program::path(int i) const {
  if (i < 0 || i >= paths()) throw ValueError(fmt::format("path: number {} of a program of {} paths", i, paths()));
  return (*paths_)[i].list;
}

#define WENGERT_EVALUATION(T)                                                                                                         \
  T Program::operator()(std::span<const T> inputs) const {                                                                            \
    check_inputs("program", *this, inputs.size());                                                                                    \
    const auto parameters = static_cast<std::size_t>(this->parameters());                                                             \
    return (*this)(inputs.first(parameters), inputs.subspan(parameters));                                                             \
  }                                                                                                                                   \
  T Program::operator()(std::span<const T> parameters, std::span<const T> record) const {                                             \
    Caller<T> call("program", *this, *paths_, parameters);                                                                            \
    call.need_one_output();                                                                                                           \
    const OneLane<T> lane(record);                                                                                                    \
    call.set(lane.columns());                                                                                                         \
    T value = 0;                                                                                                                      \
    call.request.values = &value;                                                                                                     \
    call.run();                                                                                                                       \
    return value;                                                                                                                     \
  }                                                                                                                                   \
  std::vector<T> Program::values(std::span<const T> inputs) const {                                                                   \
    check_inputs("values", *this, inputs.size());                                                                                     \
    const auto parameters = static_cast<std::size_t>(this->parameters());                                                             \
    const OneLane<T> lane(inputs.subspan(parameters));                                                                                \
    return values(inputs.first(parameters), lane.columns());                                                                          \
  }                                                                                                                                   \
  std::vector<T> Program::values(std::span<const T> parameters, const BasicColumns<T>& columns) const {                               \
    std::vector<T> to(static_cast<std::size_t>(outputs() * columns.lanes()));                                                         \
    values(parameters, columns, to);                                                                                                  \
    return to;                                                                                                                        \
  }                                                                                                                                   \
  void Program::values(std::span<const T> parameters, const BasicColumns<T>& columns, std::span<T> to) const {                        \
    Caller<T> call("values", *this, *paths_, parameters);                                                                             \
    call.set(columns);                                                                                                                \
    call.need("the result", to.size(), outputs() * columns.lanes());                                                                  \
    call.request.values = to.data();                                                                                                  \
    call.run();                                                                                                                       \
  }                                                                                                                                   \
  T Program::sum(std::span<const T> parameters, const BasicColumns<T>& columns) const {                                               \
    Caller<T> call("sum", *this, *paths_, parameters);                                                                                \
    call.need_one_output();                                                                                                           \
    call.set(columns);                                                                                                                \
    T sum = 0;                                                                                                                        \
    call.request.sums = &sum;                                                                                                         \
    call.run();                                                                                                                       \
    return sum;                                                                                                                       \
  }                                                                                                                                   \
  std::pair<T, std::vector<T>> Program::sum_and_gradient(std::span<const T> parameters, const BasicColumns<T>& columns) const {       \
    std::vector<T> to(parameters.size());                                                                                             \
    const T sum = sum_and_gradient(parameters, columns, to);                                                                          \
    return {sum, std::move(to)};                                                                                                      \
  }                                                                                                                                   \
  T Program::sum_and_gradient(std::span<const T> parameters, const BasicColumns<T>& columns, std::span<T> to) const {                 \
    Caller<T> call("sum_and_gradient", *this, *paths_, parameters);                                                                   \
    call.need_one_output();                                                                                                           \
    call.set(columns);                                                                                                                \
    call.need("the gradient", to.size(), this->parameters());                                                                         \
    T sum = 0;                                                                                                                        \
    call.request.sums = &sum;                                                                                                         \
    call.request.parameters_gradient = to.data();                                                                                     \
    call.run();                                                                                                                       \
    return sum;                                                                                                                       \
  }                                                                                                                                   \
  std::pair<T, std::vector<T>> Program::value_and_gradient(std::span<const T> inputs) const {                                         \
    check_inputs("value_and_gradient", *this, inputs.size());                                                                         \
    const auto parameters = static_cast<std::size_t>(this->parameters());                                                             \
    Caller<T> call("value_and_gradient", *this, *paths_, inputs.first(parameters));                                                   \
    call.need_one_output();                                                                                                           \
    const OneLane<T> lane(inputs.subspan(parameters));                                                                                \
    call.set(lane.columns());                                                                                                         \
    T value = 0;                                                                                                                      \
    std::vector<T> to(inputs.size());                                                                                                 \
    call.request.values = &value;                                                                                                     \
    if (parameters > 0) call.request.parameters_gradient = to.data();                                                                 \
    if (data() > 0) call.request.data_gradient = to.data() + parameters;                                                              \
    call.run();                                                                                                                       \
    return {value, std::move(to)};                                                                                                    \
  }                                                                                                                                   \
  void Program::vjp(std::span<const T> parameters, const BasicColumns<T>& columns, std::span<const T> y_bar, std::span<T> to_data,    \
                    std::span<T> to_parameters) const {                                                                               \
    Caller<T> call("vjp", *this, *paths_, parameters);                                                                                \
    call.set(columns);                                                                                                                \
    call.need("y_bar", y_bar.size(), outputs() * columns.lanes());                                                                    \
    if (!to_data.empty()) call.need("the derivative with respect to the data", to_data.size(), data() * columns.lanes());             \
    if (!to_parameters.empty()) call.need("the derivative with respect to the parameters", to_parameters.size(), this->parameters()); \
    call.request.seeds = y_bar.data();                                                                                                \
    call.request.data_gradient = to_data.empty() ? nullptr : to_data.data();                                                          \
    call.request.parameters_gradient = to_parameters.empty() ? nullptr : to_parameters.data();                                        \
    call.run();                                                                                                                       \
  }                                                                                                                                   \
  PathReport Program::report(std::span<const T> parameters, const BasicColumns<T>& columns) const {                                   \
    Caller<T> call("report", *this, *paths_, parameters);                                                                             \
    call.set(columns);                                                                                                                \
    PathReport report;                                                                                                                \
    std::vector<std::int32_t> path_of(static_cast<std::size_t>(columns.lanes()));                                                     \
    const std::function<void(Index, int, std::uint32_t)> left = [&](Index lane, int path, std::uint32_t guard) {                      \
      report.left.push_back({lane, path, guard, detail::describe_guard(this->path(path), guard)});                                    \
    };                                                                                                                                \
    call.request.paths = path_of.data();                                                                                              \
    call.request.left = &left;                                                                                                        \
    call.run();                                                                                                                       \
    fill(report, *paths_, path_of);                                                                                                   \
    return report;                                                                                                                    \
  }

namespace {

void fill(PathReport& report, const detail::PathSet& paths, const std::vector<std::int32_t>& path_of) {
  report.lanes = static_cast<Index>(path_of.size());
  for (int i = 0; i < paths.size(); ++i) {
    const detail::Path& path = paths[i];
    PathReport::Path& its = report.paths.emplace_back();
    its.number = i;
    its.parent = path.parent;
    its.operations = static_cast<Index>(path.list.instructions.size());
    its.guards = static_cast<Index>(path.list.guards.size());
    if (path.parent < 0) continue;
    const Guard& guard = path.list.guards[path.fork];
    const std::string outcome = guard.kind != GuardKind::condition ? fmt::format("{}", guard.outcome)
                                : guard.outcome != 0               ? "true"
                                                                   : "false";
    its.fork = fmt::format("{} is {}", detail::describe_guard(path.list, path.fork), outcome);
  }
  for (std::int32_t path : path_of)
    if (path >= 0) ++report.paths[static_cast<std::size_t>(path)].lanes;
}

}  // namespace

WENGERT_EVALUATION(double)
WENGERT_EVALUATION(float)
#undef WENGERT_EVALUATION

std::vector<Recorded> Program::values(std::span<const Recorded> inputs) const {
  check_inputs("values", *this, inputs.size());
  detail::Recorder* recorder = detail::Recorder::active();
  const auto parameters = static_cast<std::size_t>(this->parameters());
  std::vector<double> numbers;
  for (const Recorded& x : inputs) numbers.push_back(detail::Recorder::value_of(x));
  const std::span<const double> all(numbers);
  if (!recorder) {
    for (const Recorded& x : inputs)
      if (!detail::Recorder::is_constant(x)) throw ValueError("values: its inputs are values of a recording that has ended");
    const std::vector<double> outputs = values(all);
    return {outputs.begin(), outputs.end()};
  }
  const bool in_float32 = recorder->precision() == detail::Computed::float32;
  const int path = detail::path_of(*paths_, all.first(parameters), all.subspan(parameters), in_float32);
  const WengertList& list = (*paths_)[path].list;
  const std::vector<Recorded> recorded = detail::replay(*recorder, list, inputs);
  std::vector<Recorded> outputs;
  for (std::uint32_t y : list.outputs) outputs.push_back(recorded[y]);
  return outputs;
}

std::string to_string(const PathReport& report) {
  std::string text = fmt::format("{} paths, {} lanes\n{:>4} {:>8} {:>6} {:>10} {:>6}  forks at\n", report.paths.size(), report.lanes,
                                 "path", "lanes", "from", "operations", "guards");
  for (const PathReport::Path& path : report.paths) {
    const std::string parent = path.parent < 0 ? "" : std::to_string(path.parent);
    text += fmt::format("{:>4} {:>8} {:>6} {:>10} {:>6}{}{}\n", path.number, path.lanes, parent, path.operations, path.guards,
                        path.fork.empty() ? "" : "  ", path.fork);
  }
  for (const PathReport::Departure& lane : report.left)
    text += fmt::format("lane {} leaves path {} at {}\n", lane.lane, lane.path, lane.asked);
  return text;
}

}  // namespace wengert
