#include "autodiff/program/paths.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

namespace wengert::detail {
namespace {

bool same_outcome(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

// Values have other numbers on other paths, because what a path does not need is left out of it.
bool agree(const Guard& a, const Guard& b) { return a.kind == b.kind && same_outcome(a.outcome, b.outcome); }

}  // namespace

const Plan& Path::plan(Wanted wanted) const {
  const std::scoped_lock lock(mutex_);
  auto& plan = plans_[wanted.parameters][wanted.data][wanted.outputs][static_cast<int>(wanted.costly)];
  if (!plan) plan = std::make_unique<const Plan>(list, wanted);
  return *plan;
}

PathSet::PathSet(WengertList first, std::shared_ptr<const PathSource> source, int most) : source_(std::move(source)), most_(most) {
  if (most < 1) throw ValueError(fmt::format("record: .max_paths is {}; it must be 1 or more", most));
  paths_.emplace_back(std::move(first), -1, 0);
}

int PathSet::size() const {
  const std::scoped_lock lock(mutex_);
  return static_cast<int>(paths_.size());
}
const Path& PathSet::operator[](int path) const {
  const std::scoped_lock lock(mutex_);
  return paths_[static_cast<std::size_t>(path)];
}

std::optional<int> PathSet::find_after(int path, std::uint32_t guard, double outcome) const {
  for (std::size_t i = 0; i < paths_.size(); ++i)
    if (paths_[i].parent == path && paths_[i].fork == guard && same_outcome(paths_[i].list.guards[guard].outcome, outcome))
      return static_cast<int>(i);
  return std::nullopt;
}
std::optional<int> PathSet::after(int path, std::uint32_t guard, double outcome) const {
  const std::scoped_lock lock(mutex_);
  return find_after(path, guard, outcome);
}

int PathSet::after_or_recorded(int path, std::uint32_t guard, double outcome, std::span<const double> parameters,
                               std::span<const double> data, bool in_float32) {
  if (const auto known = after(path, guard, outcome)) return *known;
  add(source_->record(parameters, data, in_float32));
  if (const auto known = after(path, guard, outcome)) return *known;
  throw ValueError(
      fmt::format("record: at {} a lane turned out otherwise than the recording, but the function, called again at the lane's inputs, did "
                  "not; hint: the "
                  "function must do the same at the same inputs",
                  describe_guard((*this)[path].list, guard)));
}

int PathSet::add(WengertList list) {
  const std::scoped_lock lock(mutex_);
  int parent = 0;
  std::size_t from = 0;
  while (true) {
    const std::vector<Guard>& guards = paths_[static_cast<std::size_t>(parent)].list.guards;
    const std::size_t common = std::min(guards.size(), list.guards.size());
    std::size_t fork = from;
    while (fork < common && agree(guards[fork], list.guards[fork])) ++fork;
    if (fork == common && guards.size() == list.guards.size()) return parent;
    if (fork == common || guards[fork].kind != list.guards[fork].kind)
      throw ValueError(fmt::format(
          "record: after the same {} outcomes the function asks for something else; hint: it must do the same at the same inputs", fork));
    if (const auto child = find_after(parent, static_cast<std::uint32_t>(fork), list.guards[fork].outcome)) {
      parent = *child;
      from = fork + 1;
      continue;
    }
    if (static_cast<int>(paths_.size()) >= most_) fail_with_too_many();
    paths_.emplace_back(std::move(list), parent, static_cast<std::uint32_t>(fork));
    return static_cast<int>(paths_.size()) - 1;
  }
}

void PathSet::fail_with_too_many() const {
  std::map<std::string, int> forks;
  for (const Path& path : paths_) {
    if (path.parent < 0) continue;
    const Guard& guard = path.list.guards[path.fork];
    ++forks[guard.site.empty() ? describe_guard(path.list, path.fork) : guard.site];
  }
  std::vector<std::pair<int, std::string>> sorted;
  sorted.reserve(forks.size());
  for (const auto& [what, count] : forks) sorted.emplace_back(-count, what);
  std::sort(sorted.begin(), sorted.end());
  constexpr std::size_t kListed = 5;
  std::string most;
  for (std::size_t i = 0; i < std::min(kListed, sorted.size()); ++i)
    most += fmt::format("{}{} at {}", i ? ", " : "", -sorted[i].first, sorted[i].second);
  throw ValueError(fmt::format(
      "record: the lanes take more than {} paths; they fork most: {}; hint: where(condition, a, b) chooses without a path of its own, and "
      ".max_paths allows more",
      most_, most));
}

std::string describe_guard(const WengertList& list, std::size_t guard) {
  const Guard& g = list.guards[guard];
  const std::string value = describe_value(list, g.value);
  const std::string asked =
      g.kind == GuardKind::condition ? value : fmt::format("the {} {}", g.kind == GuardKind::integer ? "integer" : "number", value);
  return fmt::format("guard {}{}{}: {}", guard, g.site.empty() ? "" : ", ", g.site, asked);
}

}  // namespace wengert::detail
