#include "autodiff/explain/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "autodiff/explain/module_path.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/label.h"

namespace wengert {
namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;

double seconds_of(Duration d) { return std::chrono::duration<double>(d).count(); }

// What calls have in common that are counted together.
struct Key {
  std::uint32_t steps;  // of the tape that they were made under
  const char* file;
  std::uint32_t line;
  std::uint32_t label;  // of the parameter that is read first; 0: none
  const char* operation;

  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& k) const {
    std::size_t h = reinterpret_cast<std::uintptr_t>(k.file) ^ reinterpret_cast<std::uintptr_t>(k.operation) << 1;
    h ^= std::size_t(k.line) << 32 ^ std::size_t(k.steps) << 20 ^ k.label;
    return h * 0x9e3779b97f4a7c15u >> 17;
  }
};

struct Total {
  std::uint64_t calls = 0;
  Duration forward{}, backward{};
  std::size_t kept = 0;
  double flops = 0;
};

// The steps of the tapes that one line of the program opens. A step that is measured counts for those left out before it.
struct Steps {
  Location site;
  bool after_gradient = false;  // of a tape that goes on after more than one gradient
  std::uint64_t seen = 0, measured = 0, counted = 0;
  std::uint64_t left_out = 0;      // since the last one that was measured
  std::uint64_t to_leave_out = 0;  // before the next one
  Duration cost{};                 // of measuring, for which none has been left out yet
  Duration between{}, sweeping{}, outside{};
  std::uint64_t sweeps = 0;

  // The sums are of `counted` steps; this makes them sums of all.
  double scale() const { return counted ? static_cast<double>(seen) / static_cast<double>(counted) : 1; }
};
constexpr std::uint64_t kAlwaysMeasured = 3;  // steps of each line
constexpr double kMostCost = 0.01;            // of measuring, as a share of the time of all steps
constexpr double kMostLeftOut = 1e5;          // steps in a row
constexpr int kLongest = 50;                  // looks at the clock: what takes longer was interrupted

// The time that a look at the clock takes.
Duration cost_of_clock() {
  constexpr int kReads = 32;
  Duration least = Duration::max();
  for (int k = 0; k < 3; ++k) {
    const Time begin = Clock::now();
    for (int r = 1; r < kReads; ++r) static_cast<void>(Clock::now());
    least = std::min(least, Clock::now() - begin);
  }
  return least / kReads;
}

struct Event {
  std::uint32_t row;
  bool backward;
  Time start;
  Duration length;
};

// "encoder.0" for "parameter encoder.0.weight"; a parameter of no module stands for itself.
std::string module_of_label(std::uint32_t label) {
  constexpr std::string_view kPrefix = "parameter ";
  std::string name = detail::text_of_label(label);
  if (!name.starts_with(kPrefix)) return "";
  name.erase(0, kPrefix.size());
  std::string module = detail::module_of(name);
  return module.empty() ? name : module;
}

}  // namespace

class Profile::Recorder final : public detail::TapeTimer {
 public:
  explicit Recorder(const ProfileOptions& options)
      : keeps_events(options.events), every_step(options.events || options.every_step), steps(1), begin(Clock::now()), last_(begin) {}

  bool started(const detail::TapeState& tape, bool anew) noexcept override {
    // A tape inside another one belongs to its step. So does what follows a gradient up to the next tape: the optimizer, for example.
    const bool goes_on = tape.outer || (anew && !anew_before_);
    const bool was_measured = tape.outer ? tape.outer->timer == this : tape.timer == this;
    if (!tape.outer) anew_before_ = anew;
    if (goes_on && !was_measured) return false;
    try {
      if (!goes_on && !begin_step(tape.opened_at, anew)) return false;
    } catch (const std::bad_alloc&) {
      ++lost;
      return false;
    }
    const Time now = Clock::now();
    if (goes_on) count_step();
    if (depth_ == 0 && goes_on) at_step().outside += weighted(now - last_);
    last_ = now;
    cost_ += clock_;
    if (const auto found = tapes_.find(&tape); found != tapes_.end()) found->second.clear();
    return true;
  }

  void recorded(const detail::TapeState& tape, std::span<const Tensor* const> x) noexcept override {
    const Time now = Clock::now();
    const Duration length = now - last_;
    count_step();
    try {
      const detail::TapeNode& node = tape.nodes[tape.nodes.size() - 1];
      TapeTotals& of_tape = tapes_[&tape];
      const std::uint32_t row = row_of({step_, node.file, node.line, label_of(x), node.operation->name()});
      of_tape.set_row(node, row);
      Total& total = totals[row];
      (tape.in_sweep ? total.backward : total.forward) += weighted(length);
      total.calls += weight_;
      total.kept = std::max(total.kept, of_tape.add_kept(row, newly_kept(tape, node, of_tape.known)));
      total.flops += static_cast<double>(weight_) * 2 * node.operation->multiply_adds(Saved(tape, node));
      if (keeps_events) events.push_back({row, tape.in_sweep, last_, length});
    } catch (const std::bad_alloc&) {
      ++lost;
    }
    attributed_ += length;
    leave(now);
  }

  void before_sweep() noexcept override {
    const Time now = Clock::now();
    count_step();
    if (depth_ == 0) at_step().between += weighted(now - last_);
    open(now, true);
    at_step().sweeps += weight_;
    cost_ += clock_;
  }
  void before_rule() noexcept override {
    open(Clock::now(), false);
    cost_ += clock_;
  }
  void after_rule(const detail::TapeState& tape, const detail::TapeNode& node) noexcept override {
    const Closed rule = close();
    try {
      const std::optional<std::uint32_t> known = tapes_[&tape].row_of(node);
      const std::uint32_t row = known ? *known : row_of({step_, node.file, node.line, 0, node.operation->name()});
      Total& total = totals[row];
      total.backward += weighted(rule.own);
      total.flops += static_cast<double>(weight_) * 2 * products_of(tape, node) * node.operation->multiply_adds(Saved(tape, node));
      if (keeps_events) events.push_back({row, true, rule.start, rule.length});
    } catch (const std::bad_alloc&) {
      ++lost;
    }
    leave(last_);
  }
  void after_sweep() noexcept override {
    cost_ += clock_;
    while (depth_ > 0) {
      const bool is_sweep = depth_ > kMaxDepth || stack_[depth_ - 1].is_sweep;
      const Closed closed = close();
      if (is_sweep) {
        at_step().sweeping += weighted(closed.own);
        return;
      }
      // A rule that threw an exception: its time is attributed to no operation.
    }
  }

  void reset() {
    rows.clear();
    keys.clear();
    totals.clear();
    events.clear();
    tapes_.clear();
    steps.assign(1, {});
    step_ = 0;
    weight_ = 1;
    counts_ = true;
    lost = 0;
    begin = last_ = Clock::now();
  }

  bool keeps_events, every_step;
  std::unordered_map<Key, std::uint32_t, KeyHash> rows;
  std::vector<Key> keys;      // by row
  std::vector<Total> totals;  // by row
  std::vector<Event> events;
  std::vector<Steps> steps;  // the first one: of tapes that were open before
  std::uint64_t lost = 0;
  Time begin;

 private:
  // What concerns the records that a tape holds now.
  struct TapeTotals {
    std::unordered_set<const Elements*> known;  // elements that are kept
    std::vector<std::size_t> kept;              // bytes, by row
    std::vector<std::uint32_t> row_of_slot;     // of the node with this first output, counted from 1

    void clear() {
      known.clear();
      kept.clear();
      row_of_slot.clear();
    }
    void set_row(const detail::TapeNode& node, std::uint32_t row) {
      if (row_of_slot.size() <= node.first_output) row_of_slot.resize(node.first_output + 1);
      row_of_slot[node.first_output] = row + 1;
    }
    std::optional<std::uint32_t> row_of(const detail::TapeNode& node) const {
      if (node.first_output >= row_of_slot.size() || row_of_slot[node.first_output] == 0) return std::nullopt;
      return row_of_slot[node.first_output] - 1;
    }
    std::size_t add_kept(std::uint32_t row, std::size_t bytes) {
      if (kept.size() <= row) kept.resize(row + 1);
      return kept[row] += bytes;
    }
  };

  // A sweep or a rule that is under way.
  struct Open {
    Time start;
    Duration attributed;
    bool is_sweep;
  };
  static constexpr std::size_t kMaxDepth = 64;  // of checkpoints in checkpoints; deeper ones are not told apart
  struct Closed {
    Time start;
    Duration length, own;  // `own`: without what belongs to others inside
  };

  Steps& at_step() { return steps[step_]; }
  Duration weighted(Duration d) const { return d * static_cast<Duration::rep>(weight_); }

  // Ends the step that was under way. Returns whether the one that begins is measured.
  bool begin_step(Location site, bool after_gradient) {
    if (measuring_) end_step(Clock::now());
    if (const Steps& s = at_step(); s.site.line != site.line || s.site.file != site.file || s.after_gradient != after_gradient)
      step_ = place_of(site, after_gradient);
    Steps& s = at_step();
    measuring_ = s.to_leave_out == 0;
    if (!measuring_) {
      ++s.seen;
      --s.to_leave_out;
      ++s.left_out;
      return false;
    }
    counts_ = false;
    cost_ = {};
    step_begin_ = Clock::now();
    return true;
  }
  // A measured step counts, for those left out before it too, once something happens in it: a tape that goes on after a gradient begins
  // one that may never come.
  void count_step() {
    if (counts_) return;
    counts_ = true;
    Steps& s = at_step();
    ++s.seen;
    weight_ = s.left_out + 1;
    s.left_out = 0;
    s.counted += weight_;
    ++s.measured;
  }
  std::uint32_t place_of(Location site, bool after_gradient) {
    std::size_t k = 1;
    while (k < steps.size() &&
           (steps[k].site.line != site.line || steps[k].site.file != site.file || steps[k].after_gradient != after_gradient))
      ++k;
    if (k == steps.size()) steps.push_back({.site = site, .after_gradient = after_gradient});
    return static_cast<std::uint32_t>(k);
  }
  // As many steps are left out as make up for the time that looking at the clock took. Their number is drawn from an interval, so that
  // measuring does not fall into step with what the program repeats.
  void end_step(Time now) {
    count_step();
    Steps& s = at_step();
    if (depth_ == 0) s.outside += weighted(now - last_);
    s.cost += cost_;
    if (every_step || s.measured < kAlwaysMeasured) return;
    const double plain = std::max(seconds_of(now - step_begin_ - cost_), 1e-9);
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;  // D. Knuth, The Art of Computer Programming 2, 3.3.4
    const double share = 0.5 + static_cast<double>(random_ >> 40) * 0x1p-24;
    s.to_leave_out = static_cast<std::uint64_t>(std::min(share * seconds_of(s.cost) / (kMostCost * plain), kMostLeftOut));
    s.cost = {};
  }

  // At the end of a callback that began at `now`: what it took is attributed to no operation.
  void leave(Time now) {
    last_ = Clock::now();
    cost_ += std::min(last_ - now, kLongest * clock_) + clock_;
  }

  void open(Time now, bool is_sweep) {
    if (depth_ < kMaxDepth) stack_[depth_] = {now, attributed_, is_sweep};
    ++depth_;
    last_ = now;
  }
  Closed close() {
    const Time now = Clock::now();
    if (depth_ == 0) return {now, {}, {}};  // begun before the Profile
    --depth_;
    last_ = now;
    if (depth_ >= kMaxDepth) return {now, {}, {}};
    const Open& opened = stack_[depth_];
    const Duration length = now - opened.start, own = length - (attributed_ - opened.attributed);
    attributed_ += own;
    return {opened.start, length, own};
  }

  std::uint32_t row_of(const Key& key) {
    const auto [place, is_new] = rows.try_emplace(key, static_cast<std::uint32_t>(totals.size()));
    if (is_new) {
      keys.push_back(key);
      totals.emplace_back();
    }
    return place->second;
  }

  static std::uint32_t label_of(std::span<const Tensor* const> x) {
    for (const Tensor* each : x)
      if (each->defined() && detail::is_parameter_value(*each)) return each->elements()->label.load(std::memory_order_relaxed);
    return 0;
  }

  // Bytes of elements that the node keeps for its rule, and no node before it.
  static std::size_t newly_kept(const detail::TapeState& tape, const detail::TapeNode& node, std::unordered_set<const Elements*>& known) {
    std::size_t bytes = 0;
    const auto count = [&](const Tensor& t) {
      if (!t.defined() || detail::is_parameter_value(t)) return;
      const Elements* owner = t.elements()->base ? t.elements()->base : t.elements();
      if (known.insert(owner).second) bytes += static_cast<std::size_t>(owner->size * bytes_of(owner->dtype));
    };
    for (std::uint32_t i = 0; i < node.inputs; ++i) count(tape.input(node, i).saved);
    for (std::uint32_t j = 0; j < node.outputs; ++j) count(tape.slots[node.first_output + j].saved);
    return bytes;
  }

  // How many products as large as the forward one the rule has multiplied: one for each of the first two inputs that needs a cotangent,
  // unless it was deferred.
  static double products_of(const detail::TapeState& tape, const detail::TapeNode& node) {
    double count = 0;
    for (std::uint32_t i = 0; i < std::min(node.inputs, 2u); ++i) {
      const detail::Slot* slot = tape.arrays.slots[i];
      if (slot && !slot->cotangent.is_product()) ++count;
    }
    return count;
  }

  std::uint32_t step_ = 0;    // the place in `steps` of the step under way
  std::uint64_t weight_ = 1;  // how many steps it counts for
  bool measuring_ = false, counts_ = true, anew_before_ = false;
  Time step_begin_;
  Duration cost_{};  // of measuring the step
  const Duration clock_ = cost_of_clock();
  std::uint64_t random_ = 1;
  Time last_;              // of the last event
  Duration attributed_{};  // everything that has been counted so far
  Open stack_[kMaxDepth];
  std::size_t depth_ = 0;
  std::unordered_map<const detail::TapeState*, TapeTotals> tapes_;
};

// ---- tables -----------------------------------------------------------------------------------------------------------------

namespace {

std::uint64_t scaled(std::uint64_t count, double scale) {
  return static_cast<std::uint64_t>(std::llround(static_cast<double>(count) * scale));
}

// Sums rows by a name, which is empty for those that are left out; the most expensive first.
template <class NameOf>
std::vector<ProfileRow> grouped(std::span<const Key> keys, std::span<const Total> totals, std::span<const Steps> steps, NameOf&& name_of) {
  std::map<std::string, ProfileRow> groups;
  std::map<std::string, std::vector<double>> kept;  // by the line of the tape: what one tape keeps, another one keeps again
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const double scale = steps[keys[k].steps].scale();
    const std::string name = name_of(keys[k]);
    if (name.empty()) continue;
    ProfileRow& row = groups[name];
    row.name = name;
    const std::string_view operation = keys[k].operation;
    if ((", " + row.operations + ",").find(fmt::format(", {},", operation)) == std::string::npos)
      row.operations += fmt::format("{}{}", row.operations.empty() ? "" : ", ", operation);
    row.calls += scaled(totals[k].calls, scale);
    row.forward += scale * seconds_of(totals[k].forward);
    row.backward += scale * seconds_of(totals[k].backward);
    kept[name].resize(steps.size());
    kept[name][keys[k].steps] += static_cast<double>(totals[k].kept);
    row.flops += scale * totals[k].flops;
  }
  std::vector<ProfileRow> result;
  result.reserve(groups.size());
  for (auto& [name, row] : groups) {
    row.kept = *std::max_element(kept[name].begin(), kept[name].end());
    result.push_back(std::move(row));
  }
  std::stable_sort(result.begin(), result.end(), [](const ProfileRow& a, const ProfileRow& b) { return a.seconds() > b.seconds(); });
  return result;
}

std::string line_of(const Key& key) { return key.line ? to_string(Location(key.file, key.line)) : "an unknown line"; }

// "12.5 MB".
std::string bytes_text(double bytes) {
  if (bytes < 1e3) return fmt::format("{:.0f} B", bytes);
  return bytes < 1e6 ? fmt::format("{:.1f} kB", bytes / 1e3) : fmt::format("{:.1f} MB", bytes / 1e6);
}

std::string table(const char* title, const std::vector<ProfileRow>& rows, double total, bool with_operations) {
  std::size_t width = std::string_view(title).size();
  for (const ProfileRow& row : rows) width = std::max(width, row.name.size());
  std::string text = fmt::format("{:<{}}  {:>9}  {:>11}  {:>11}  {:>6}  {:>9}  {:>8}{}\n", title, width, "calls", "forward ms",
                                 "backward ms", "share", "kept", "GFLOP/s", with_operations ? "  operations" : "");
  for (const ProfileRow& row : rows) {
    const std::string rate = row.flops > 0 && row.seconds() > 0 ? fmt::format("{:.1f}", row.flops / row.seconds() * 1e-9) : "";
    text += fmt::format("{:<{}}  {:>9}  {:>11.3f}  {:>11.3f}  {:>5.1f}%  {:>9}  {:>8}", row.name, width, row.calls, row.forward * 1e3,
                        row.backward * 1e3, 100 * row.seconds() / total, row.kept > 0 ? bytes_text(row.kept) : "", rate);
    if (with_operations) text += "  " + row.operations;
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

}  // namespace

// ---- public interface -------------------------------------------------------------------------------------------------------

Profile::Profile(const ProfileOptions& options) {
  if (detail::current_timer()) throw Error("profile: this thread has a Profile already; reset() begins a new measurement");
  recorder_ = std::make_unique<Recorder>(options);
  detail::set_timer(recorder_.get());
}

Profile::~Profile() { detail::set_timer(nullptr); }

std::vector<ProfileRow> Profile::lines() const { return grouped(recorder_->keys, recorder_->totals, recorder_->steps, line_of); }
std::vector<ProfileRow> Profile::operations() const {
  return grouped(recorder_->keys, recorder_->totals, recorder_->steps, [](const Key& key) { return std::string(key.operation); });
}
std::vector<ProfileRow> Profile::modules() const {
  return grouped(recorder_->keys, recorder_->totals, recorder_->steps, [](const Key& key) { return module_of_label(key.label); });
}

// The sum over the steps of all lines.
static double sum_of(const std::vector<Steps>& steps, Duration Steps::*part) {
  double sum = 0;
  for (const Steps& s : steps) sum += s.scale() * seconds_of(s.*part);
  return sum;
}
double Profile::between() const { return sum_of(recorder_->steps, &Steps::between); }
double Profile::sweeping() const { return sum_of(recorder_->steps, &Steps::sweeping); }
double Profile::outside() const { return sum_of(recorder_->steps, &Steps::outside); }
std::uint64_t Profile::sweeps() const {
  std::uint64_t sum = 0;
  for (const Steps& s : recorder_->steps) sum += scaled(s.sweeps, s.scale());
  return sum;
}
double Profile::measured() const {
  std::uint64_t seen = 0, measured = 0;
  for (const Steps& s : recorder_->steps) seen += s.seen, measured += s.measured;
  return seen ? static_cast<double>(measured) / static_cast<double>(seen) : 1;
}

std::string Profile::report() const {
  const std::vector<ProfileRow> all = operations();
  double forward = 0, backward = 0;
  for (const ProfileRow& row : all) forward += row.forward, backward += row.backward;
  const double total = forward + backward + between() + sweeping() + outside();
  const double whole = total > 0 ? total : 1;
  const auto part = [&](const char* what, double seconds) {
    return fmt::format("  {:<40} {:>11.3f} ms  {:>5.1f}%\n", what, seconds * 1e3, 100 * seconds / whole);
  };
  std::string text = fmt::format("{} sweeps, {:.3f} ms\n", sweeps(), total * 1e3);
  if (measured() < 1)
    text +=
        fmt::format("  {:.2g}% of the steps were measured, and count for all: looking at the clock takes long beside short operations\n",
                    100 * measured());
  text += part("operations, forwards", forward) + part("operations, backwards", backward);
  text += part("sweeps without the rules of operations", sweeping());
  text += part("from the last operation to the sweep", between());
  text += part("outside of tapes: optimizer, data", outside());
  if (recorder_->lost) text += fmt::format("  {} calls are missing: memory ran out\n", recorder_->lost);
  text += '\n' + table("line", lines(), whole, true) + '\n' + table("operation", all, whole, false);
  if (const std::vector<ProfileRow> of_modules = modules(); !of_modules.empty()) text += '\n' + table("module", of_modules, whole, true);
  return text;
}

std::string Profile::trace_json() const {
  if (!recorder_->keeps_events) throw Error("profile: no events were kept; pass {.events = true} to the constructor");
  std::vector<std::string> names, places;
  for (const Key& key : recorder_->keys) {
    names.push_back(nlohmann::json(key.operation).dump());
    places.push_back(nlohmann::json(line_of(key)).dump());
  }
  const auto microseconds = [](Duration d) { return std::chrono::duration<double, std::micro>(d).count(); };
  std::string text = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [";
  const char* separator = "\n";
  for (const Event& e : recorder_->events) {
    text += fmt::format(
        R"({}{{"name": {}, "cat": "{}", "ph": "X", "ts": {:.3f}, "dur": {:.3f}, "pid": 1, "tid": 1, "args": {{"line": {}}}}})", separator,
        names[e.row], e.backward ? "backward" : "forward", microseconds(e.start - recorder_->begin), microseconds(e.length), places[e.row]);
    separator = ",\n";
  }
  return text + "\n]}\n";
}

void Profile::reset() { recorder_->reset(); }

}  // namespace wengert
