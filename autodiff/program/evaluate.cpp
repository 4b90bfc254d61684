#include "autodiff/program/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>

#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/partial_sums.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/program/block_kernels.h"

namespace wengert::detail {
namespace {

using kernels::Scratch, kernels::tree_sum;

constexpr std::uint32_t kStays = ~std::uint32_t{0};
constexpr Index kMostTasks = 64;

// How many lanes a block has: such that its rows stay in the cache. Depends on the list and the number of lanes alone.
template <class T> Index block_width(Index rows, Index lanes) {
  constexpr Index kMost = 256, kFewest = 64, kBytes = 512 * 1024;
  Index width = kMost;
  while (width > kFewest && rows * width * static_cast<Index>(sizeof(T)) > kBytes) width /= 2;
  while (width > 1 && width / 2 >= lanes) width /= 2;
  return width;
}

// The lanes of one pass: those of a list, or 0, 1, ....
struct Lanes {
  const std::uint32_t* list;
  Index count;
  Index operator[](Index i) const { return list ? static_cast<Index>(list[i]) : i; }
};

// Where each lane left its path. The arrays are by lanes; null for a path without guards.
struct Departures {
  std::uint32_t* guard = nullptr;
  double* outcome = nullptr;
};

// What a pass computes besides finding out which lanes stay.
struct Purpose {
  bool values, sums, reverse;
};

// Whether n numbers from a on and m from b on have some in common.
template <class T> bool overlap(const T* a, Index n, const T* b, Index m) {
  const std::less<const T*> before;
  return before(a, b + m) && before(b, a + n);
}

template <class T> bool wants_data_gradient(const Request<T>& request) { return request.data_gradient || request.data_gradient_rows; }

template <class T> class Pass {
 public:
  Pass(const Path& path, const Request<T>& request, Purpose purpose, Lanes lanes, Departures departures)
      : path_(path),
        request_(request),
        purpose_(purpose),
        plan_(path.plan({purpose.reverse && request.parameters_gradient, purpose.reverse && wants_data_gradient(request),
                         purpose.values || purpose.sums, request.costly})),
        kernels_(block_kernels<T>()),
        lanes_(lanes),
        departures_(departures),
        outputs_(static_cast<Index>(path.list.outputs.size())),
        summed_(purpose.sums ? outputs_ : 0),
        boundary_(static_cast<Index>(plan_.boundary.size())),
        width_(block_width<T>(plan_.rows + plan_.adjoint_rows, lanes.count)),
        in_place_(!lanes.list && path.list.guards.empty() && results_are_apart()),
        uniforms_(plan_.uniforms + 1) {}

  // Returns how many lanes left.
  Index run() {
    compute_uniforms();
    const Index blocks = (lanes_.count + width_ - 1) / width_, tasks = std::min(blocks, kMostTasks), totals = summed_ + boundary_;
    const Scratch<T> sums(tasks * totals + 1);
    std::atomic<Index> left{0};
    parallel_blocks(tasks, [&](std::int64_t task) {
      Block block(*this);
      Index left_here = 0;
      for (Index b = task * blocks / tasks; b < (task + 1) * blocks / tasks; ++b)
        left_here += block.run(b * width_, std::min(width_, lanes_.count - b * width_));
      block.add_up(sums.data() + task * totals);
      left += left_here;
    });
    for (Index o = 0; o < summed_; ++o) request_.sums[o] += tree_sum(sums.data() + o, tasks, totals);
    if (purpose_.reverse && request_.parameters_gradient) reverse_uniforms(sums.data() + summed_, tasks, totals);
    return left;
  }

 private:
  class Block;

  const double* options(std::uint32_t at) const { return plan_.options.data() + at; }

  // Where the lanes of a result go.
  T* values_of(Index o) const { return request_.value_rows ? request_.value_rows[o] : request_.values + o * request_.lanes; }
  T* gradient_of(Index d) const {
    return request_.data_gradient_rows ? request_.data_gradient_rows[d] : request_.data_gradient + d * request_.lanes;
  }
  // Whether no result overwrites what is still to be read.
  bool results_are_apart() const {
    const Index lanes = request_.lanes, data = static_cast<Index>(path_.list.data);
    const auto is_apart = [&](const T* to, Index n) {
      for (Index d = 0; d < static_cast<Index>(plan_.columns); ++d)
        if (overlap(to, n, request_.columns[d], lanes)) return false;
      return !request_.seeds || !overlap(to, n, request_.seeds, outputs_ * lanes);
    };
    return (!request_.values || is_apart(request_.values, outputs_ * lanes)) &&
           (!request_.data_gradient || is_apart(request_.data_gradient, data * lanes));
  }

  void compute_uniforms() {
    T* u = uniforms_.data();
    u = std::copy(request_.parameters.begin(), request_.parameters.end(), u);
    for (double c : plan_.constants) *u++ = static_cast<T>(c);
    u = uniforms_.data();
    for (const ForwardStep& step : plan_.uniform_steps)
      kernels_.forward[static_cast<int>(step.opcode)][0](
          {1, u + step.y, {u + step.operands[0], u + step.operands[1], u + step.operands[2]}, options(step.options)});
    for (const GuardStep& guard : plan_.uniform_guards) {
      const Guard& its = path_.list.guards[guard.guard];
      const double outcome = outcome_of(its.kind, u[guard.value]);
      if (std::bit_cast<std::uint64_t>(outcome) == std::bit_cast<std::uint64_t>(its.outcome)) continue;
      all_leave_at_ = guard.guard;
      their_outcome_ = outcome;
      break;
    }
  }

  void reverse_uniforms(T* sums, Index tasks, Index stride) {
    const Scratch<T> adjoints(plan_.uniforms + 1);
    T *u = uniforms_.data(), *u_bar = adjoints.data();
    std::fill_n(u_bar, plan_.uniforms, T(0));
    for (Index k = 0; k < boundary_; ++k) u_bar[plan_.boundary[static_cast<std::size_t>(k)]] = tree_sum(sums + k, tasks, stride);
    for (const ReverseStep& step : plan_.uniform_reverse)
      kernels_.reverse[static_cast<int>(step.opcode)][step.operand][0]({1,
                                                                        u_bar + step.to,
                                                                        u_bar + step.m,
                                                                        {u + step.operands[0], u + step.operands[1], u + step.operands[2]},
                                                                        u + step.y,
                                                                        options(step.options)});
    for (std::size_t p = 0; p < request_.parameters.size(); ++p) request_.parameters_gradient[p] += u_bar[p];
  }

  const Path& path_;
  const Request<T>& request_;
  const Purpose purpose_;
  const Plan& plan_;
  const BlockKernels<T>& kernels_;
  const Lanes lanes_;
  const Departures departures_;
  const Index outputs_, summed_, boundary_, width_;
  const bool in_place_;  // results are computed where they are wanted
  const Scratch<T> uniforms_;
  std::uint32_t all_leave_at_ = kStays;  // a guard on what is the same for all lanes
  double their_outcome_ = 0;
};

// The memory of one task, which runs block after block in it.
template <class T> class Pass<T>::Block {
 public:
  explicit Block(const Pass& pass)
      : pass_(pass),
        plan_(pass.plan_),
        width_(pass.width_),
        memory_(width_ * (plan_.rows + plan_.adjoint_rows + (pass.lanes_.list ? columns() : 0)) +
                kPartialSums * (pass.boundary_ + pass.summed_) + 1),
        rows_(memory_.data()),
        gathered_(rows_ + width_ * (plan_.rows + plan_.adjoint_rows)),
        boundary_(gathered_ + (pass.lanes_.list ? width_ * columns() : 0)),
        sums_(boundary_ + kPartialSums * pass.boundary_),
        table_(plan_.end() + 1),
        left_at_(width_) {
    std::fill_n(boundary_, kPartialSums * (pass.boundary_ + pass.summed_), T(0));
    for (Position u = 0; u < plan_.uniforms; ++u) table_.data()[u] = pass.uniforms_.data() + u;
    for (std::uint32_t r = 0; r < plan_.rows + plan_.adjoint_rows; ++r) table_.data()[plan_.row(r)] = rows_ + width_ * r;
  }

  // Lanes first, first + 1, ... of the pass. Returns how many of them left.
  Index run(Index first, Index n) {
    first_ = first;
    n_ = n;
    place_data();
    if (pass_.in_place_) place_results();
    if (!pass_.path_.list.guards.empty()) std::fill_n(left_at_.data(), n, kStays);
    staying_ = n;
    forward();
    write_departures();
    if (staying_ > 0) {
      if (pass_.purpose_.values) write_values();
      if (pass_.purpose_.sums) add_values();
      if (pass_.purpose_.reverse) reverse();
    }
    return n - staying_;
  }

  // The sums over all lanes of the task: of the outputs, then of the adjoints of uniform numbers.
  void add_up(T* to) {
    for (Index o = 0; o < pass_.summed_; ++o) *to++ = tree_sum(sums_ + o * kPartialSums, kPartialSums);
    for (Index k = 0; k < pass_.boundary_; ++k) *to++ = tree_sum(boundary_ + k * kPartialSums, kPartialSums);
  }

 private:
  Index data() const { return pass_.path_.list.data; }
  Index columns() const { return plan_.columns; }
  Index lane(Index i) const { return pass_.lanes_[first_ + i]; }
  bool stays(Index i) const { return all_stay() || left_at_.data()[i] == kStays; }
  bool all_stay() const { return staying_ == n_; }

  void place_data() {
    for (Index d = 0; d < columns(); ++d) {
      const T* column = pass_.request_.columns[d];
      if (!pass_.lanes_.list) {
        table_.data()[plan_.uniforms + d] = const_cast<T*>(column + first_);  // nothing writes to columns
        continue;
      }
      T* to = gathered_ + d * width_;
      for (Index i = 0; i < n_; ++i) to[i] = column[lane(i)];
      table_.data()[plan_.uniforms + d] = to;
    }
  }

  // A row that ends as a result, which may hold other values before.
  void place_results() {
    if (pass_.purpose_.values)
      for (std::size_t o = 0; o < plan_.outputs.size(); ++o)
        if (plan_.output_is_first[o]) table_.data()[plan_.outputs[o]] = pass_.values_of(static_cast<Index>(o)) + first_;
    if (!pass_.purpose_.reverse || !wants_data_gradient(pass_.request_)) return;
    for (std::size_t d = 0; d < plan_.data_rows.size(); ++d)
      if (T* to = plan_.data_is_first[d] ? pass_.gradient_of(static_cast<Index>(d)) : nullptr)
        table_.data()[plan_.adjoints(plan_.data_rows[d])] = to + first_;
  }

  T* at(Position position) const { return table_.data()[position]; }
  T* adjoints(std::uint32_t number) const { return at(plan_.adjoints(number)); }
  T* own_adjoints(std::uint32_t number) const { return rows_ + width_ * (plan_.rows + number); }

  void forward() {
    auto guard = plan_.guards.begin();
    const auto check_before = [&](std::uint32_t step) {
      for (; guard != plan_.guards.end() && guard->before <= step && staying_ > 0; ++guard) {
        if (guard->guard > pass_.all_leave_at_) {
          all_leave();
        } else {
          check(*guard);
        }
      }
    };
    if (plan_.guards.empty()) all_leave();
    std::uint32_t number = 0;
    for (const ForwardStep& step : plan_.steps) {
      check_before(number++);
      if (staying_ == 0) return;
      const auto loop =
          step.pair < 0 ? pass_.kernels_.forward[static_cast<int>(step.opcode)][step.mode] : pass_.kernels_.pairs[step.pair][step.mode];
      loop({n_, at(step.y), {at(step.operands[0]), at(step.operands[1]), at(step.operands[2])}, pass_.options(step.options)});
    }
    check_before(number);
    all_leave();
  }

  // If a guard that is the same for all lanes turned out otherwise.
  void all_leave() {
    if (pass_.all_leave_at_ == kStays) return;
    for (Index i = 0; i < n_; ++i) {
      if (!stays(i)) continue;
      left_at_.data()[i] = pass_.all_leave_at_;
      pass_.departures_.outcome[lane(i)] = pass_.their_outcome_;
    }
    staying_ = 0;
  }

  void check(const GuardStep& step) {
    const Guard& guard = pass_.path_.list.guards[step.guard];
    const T* value = at(step.value);
    if (guard.kind == GuardKind::condition) {
      const int expected = guard.outcome != 0;
      int otherwise = 0;
      for (Index i = 0; i < n_; ++i) otherwise |= static_cast<int>(value[i] != 0) ^ expected;
      if (!otherwise) return;
    }
    for (Index i = 0; i < n_; ++i) {
      if (!stays(i)) continue;
      const double outcome = outcome_of(guard.kind, value[i]);
      if (std::bit_cast<std::uint64_t>(outcome) == std::bit_cast<std::uint64_t>(guard.outcome)) continue;
      left_at_.data()[i] = step.guard;
      pass_.departures_.outcome[lane(i)] = outcome;
      --staying_;
    }
  }

  void write_departures() {
    if (!pass_.departures_.guard) return;
    for (Index i = 0; i < n_; ++i) pass_.departures_.guard[lane(i)] = left_at_.data()[i];
  }

  void write_values() {
    for (Index o = 0; o < static_cast<Index>(plan_.outputs.size()); ++o) {
      if (pass_.in_place_ && plan_.output_is_first[static_cast<std::size_t>(o)]) continue;
      const Position y = plan_.outputs[static_cast<std::size_t>(o)];
      write(pass_.values_of(o), at(y), plan_.is_uniform(y) ? 0 : 1);
    }
  }
  // A row, into an array by lanes.
  void write(T* to, const T* from, Index step) {
    if (all_stay() && !pass_.lanes_.list && step == 1) {
      std::memcpy(to + first_, from, static_cast<std::size_t>(n_) * sizeof(T));
      return;
    }
    for (Index i = 0; i < n_; ++i)
      if (stays(i)) to[lane(i)] = from[i * step];
  }
  void add_values() {
    for (Index o = 0; o < pass_.summed_; ++o) {
      const Position y = plan_.outputs[static_cast<std::size_t>(o)];
      const T* from = at(y);
      const Index step = plan_.is_uniform(y) ? 0 : 1;
      T* sums = sums_ + o * kPartialSums;
      Index i = 0;
      if (all_stay() && step == 1)
        for (; i + kPartialSums <= n_; i += kPartialSums)
          for (Index j = 0; j < kPartialSums; ++j) sums[j] += from[i + j];
      for (; i < n_; ++i) sums[i % kPartialSums] += stays(i) ? from[i * step] : T(0);
    }
  }

  // The adjoints of the outputs. A lane that left has the seed 0, and adjoints of 0 pass nothing on.
  void place_seeds() {
    for (Index o = 0; o < pass_.outputs_; ++o) {
      const auto at_o = static_cast<std::size_t>(o);
      const std::uint32_t row = plan_.output_rows[at_o];
      if (row == Plan::kNoRow) continue;
      const T* seeds = pass_.request_.seeds ? pass_.request_.seeds + o * pass_.request_.lanes : nullptr;
      const auto seed = [&](Index i) { return !stays(i) ? T(0) : seeds ? seeds[lane(i)] : T(1); };
      if (plan_.output_is_shared[at_o]) {
        T* to = boundary_ + kPartialSums * row;
        for (Index i = 0; i < n_; ++i) to[i % kPartialSums] += seed(i);
        continue;
      }
      if (plan_.seed_is_only_read[at_o]) {
        // Only read, so the constant is safe.
        const bool in_place = seeds && all_stay() && !pass_.lanes_.list;
        table_.data()[plan_.adjoints(row)] = in_place ? const_cast<T*>(seeds + first_) : own_adjoints(row);
        if (in_place) continue;
      }
      T* to = adjoints(row);
      if (!plan_.seed_is_first[at_o]) {
        for (Index i = 0; i < n_; ++i) to[i] += seed(i);
      } else if (!all_stay() || (seeds && pass_.lanes_.list)) {
        for (Index i = 0; i < n_; ++i) to[i] = seed(i);
      } else if (seeds) {
        std::copy_n(seeds + first_, n_, to);
      } else {
        std::fill_n(to, n_, T(1));
      }
    }
  }
  void reverse() {
    place_seeds();
    for (const ReverseStep& step : plan_.reverse) {
      const auto& loops = step.first ? pass_.kernels_.reverse_first : pass_.kernels_.reverse;
      loops[static_cast<int>(step.opcode)][step.operand][step.mode]({n_,
                                                                     step.sums ? boundary_ + kPartialSums * step.to : at(step.to),
                                                                     at(step.m),
                                                                     {at(step.operands[0]), at(step.operands[1]), at(step.operands[2])},
                                                                     at(step.y),
                                                                     pass_.options(step.options)});
    }
    if (!wants_data_gradient(pass_.request_)) return;
    const T zero = 0;
    for (Index d = 0; d < data(); ++d) {
      T* to = pass_.gradient_of(d);
      if (!to || (pass_.in_place_ && plan_.data_is_first[static_cast<std::size_t>(d)])) continue;
      const std::uint32_t row = plan_.data_rows[static_cast<std::size_t>(d)];
      const bool is_zero = row == Plan::kNoRow;
      write(to, is_zero ? &zero : adjoints(row), is_zero ? 0 : 1);
    }
  }

  const Pass& pass_;
  const Plan& plan_;
  const Index width_;
  const Scratch<T> memory_;
  T *const rows_, *const gathered_, *const boundary_, *const sums_;
  const Scratch<T*> table_;  // by positions
  const Scratch<std::uint32_t> left_at_;
  Index first_ = 0, n_ = 0, staying_ = 0;
};

// The paths of all lanes, and one pass after another.
template <class T> class Evaluation {
 public:
  Evaluation(PathSet& paths, const Request<T>& request)
      : paths_(paths), request_(request), wanted_{request.values || request.value_rows, request.sums != nullptr, wants_reverse(request)} {}

  void run() {
    const Path& first = paths_[0];
    if (request_.sums) std::fill_n(request_.sums, first.list.outputs.size(), T(0));
    if (request_.parameters_gradient) std::fill_n(request_.parameters_gradient, request_.parameters.size(), T(0));
    if (request_.paths) std::fill_n(request_.paths, request_.lanes, 0);
    const Lanes all{nullptr, request_.lanes};
    if (first.list.guards.empty()) {
      Pass<T>(first, request_, wanted_, all, {}).run();
      return;
    }
    const Scratch<std::uint32_t> guards(request_.lanes + 1);
    const Scratch<double> outcomes(request_.lanes + 1);
    const Departures departures{guards.data(), outcomes.data()};
    const Index left = Pass<T>(first, request_, wanted_, all, departures).run();
    if (left > 0) follow(left, departures);
  }

 private:
  static bool wants_reverse(const Request<T>& request) { return request.parameters_gradient || wants_data_gradient(request); }

  // The lanes that left the first path, along the paths that they take.
  void follow(Index count, Departures departures) {
    const Scratch<std::uint32_t> lanes(count), settled(count);
    const Scratch<std::int32_t> path_of(request_.lanes);
    Index active = 0;
    for (Index lane = 0; lane < request_.lanes; ++lane) {
      path_of.data()[lane] = 0;
      if (departures.guard[lane] != kStays) lanes.data()[active++] = static_cast<std::uint32_t>(lane);
    }
    // Sums are added up by paths, each from its lanes alone, so that they do not depend on which paths were known before.
    const bool again = wanted_.sums || wanted_.reverse;
    const Purpose purpose = again ? Purpose{false, false, false} : wanted_;
    Index known = 0;
    while (active > 0) {
      Index kept = 0;
      for (Index i = 0; i < active; ++i) {
        const std::uint32_t lane = lanes.data()[i];
        if (go_on(lane, departures, path_of.data()[lane])) lanes.data()[kept++] = lane;
      }
      active = kept;
      for_each_path(lanes.data(), active, path_of.data(),
                    [&](int path, Lanes group) { Pass<T>(paths_[path], request_, purpose, group, departures).run(); });
      kept = 0;
      for (Index i = 0; i < active; ++i) {
        const std::uint32_t lane = lanes.data()[i];
        if (departures.guard[lane] == kStays) {
          settled.data()[known++] = lane;
        } else {
          lanes.data()[kept++] = lane;
        }
      }
      active = kept;
    }
    std::sort(settled.data(), settled.data() + known);
    if (request_.paths)
      for (Index i = 0; i < known; ++i) request_.paths[settled.data()[i]] = path_of.data()[settled.data()[i]];
    if (again)
      for_each_path(settled.data(), known, path_of.data(),
                    [&](int path, Lanes group) { Pass<T>(paths_[path], request_, wanted_, group, departures).run(); });
    fail_for_lost_lanes();
  }

  // Sorts lanes by their path, the path of the first lane first, and calls f(path, its lanes in order).
  template <class F> void for_each_path(std::uint32_t* lanes, Index count, const std::int32_t* path_of, F&& f) {
    std::sort(lanes, lanes + count);
    const int known = paths_.size();
    const Scratch<std::uint32_t> first(known);
    std::fill_n(first.data(), known, kStays);
    for (Index i = count; i-- > 0;) first.data()[path_of[lanes[i]]] = lanes[i];
    std::sort(lanes, lanes + count, [&](std::uint32_t a, std::uint32_t b) {
      const std::uint32_t p = first.data()[path_of[a]], q = first.data()[path_of[b]];
      return p != q ? p < q : a < b;
    });
    for (Index i = 0; i < count;) {
      const int path = path_of[lanes[i]];
      Index end = i + 1;
      while (end < count && path_of[lanes[end]] == path) ++end;
      f(path, Lanes{lanes + i, end - i});
      i = end;
    }
  }

  // The next path of a lane that left one; false if there is none.
  bool go_on(std::uint32_t lane, Departures departures, std::int32_t& path) {
    const std::uint32_t guard = departures.guard[lane];
    const double outcome = departures.outcome[lane];
    if (const auto known = paths_.after(path, guard, outcome)) {
      path = *known;
      return true;
    }
    if (paths_.can_record()) {
      const std::vector<double> parameters(request_.parameters.begin(), request_.parameters.end());
      std::vector<double> data;
      for (std::uint32_t d = 0; d < paths_[0].list.data; ++d) data.push_back(request_.columns[d][lane]);
      path = paths_.after_or_recorded(path, guard, outcome, parameters, data, std::is_same_v<T, float>);
      return true;
    }
    if (request_.left) {
      (*request_.left)(lane, path, guard);
    } else if (lost_++ < kListed) {
      lost_text_ += fmt::format("{}lane {} at {}", lost_text_.empty() ? "" : ", ", lane, describe_guard(paths_[path].list, guard));
    }
    if (request_.paths) request_.paths[lane] = -1;
    return false;
  }

  void fail_for_lost_lanes() const {
    if (lost_ == 0) return;
    throw ValueError(
        fmt::format("program: {} of {} lanes leave every recorded path: {}{}; hint: a program with its function (from record) records such "
                    "paths anew, one from a file cannot; record it at inputs of each kind before it is written",
                    lost_, request_.lanes, lost_text_, lost_ > kListed ? ", ..." : ""));
  }

  static constexpr Index kListed = 5;
  PathSet& paths_;
  const Request<T>& request_;
  const Purpose wanted_;
  Index lost_ = 0;
  std::string lost_text_;
};

}  // namespace

template <class T> void evaluate(PathSet& paths, const Request<T>& request) { Evaluation<T>(paths, request).run(); }
template void evaluate(PathSet&, const Request<float>&);
template void evaluate(PathSet&, const Request<double>&);

}  // namespace wengert::detail
