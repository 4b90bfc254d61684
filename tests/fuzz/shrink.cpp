#include "shrink.h"

#include <algorithm>
#include <set>
#include <span>

namespace wengert::fuzz {
namespace {

using List = std::vector<std::uint64_t>;

// Shortlex order.
bool is_simpler(const List& a, const List& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

class Shrinker {
 public:
  Shrinker(ChoiceList failing, const Fails& fails, std::size_t runs) : best_(std::move(failing)), fails_(fails), runs_left_(runs) {}

  ChoiceList run() {
    List before;
    do {
      before = best_.choices;
      delete_parts();
      for (const std::size_t width : {8, 4, 2, 1}) delete_runs(width);
      for (const std::size_t width : {8, 4, 2}) clear_runs(width);
      lower_each();
      if (best_.choices == before) lower_and_delete();  // the most expensive one
    } while (best_.choices != before && runs_left_ > 0);
    return std::move(best_);
  }

 private:
  static constexpr std::size_t kPartsDeleted = 24;
  static constexpr std::size_t kPartsAfter = 4;
  static constexpr std::size_t kMostDeleted = 64;
  static constexpr std::uint64_t kSmall = 8;

  std::size_t size() const { return best_.choices.size(); }

  // Takes the candidate if it is simpler and fails.
  bool takes(const List& candidate) {
    if (!is_simpler(candidate, best_.choices) || runs_left_ == 0 || !tried_.insert(candidate).second) return false;
    --runs_left_;
    std::optional<ChoiceList> used = fails_(candidate);
    if (!used || !is_simpler(used->choices, best_.choices)) return false;
    best_ = *std::move(used);
    return true;
  }
  bool takes_without(std::size_t first, std::size_t end) { return takes(without(best_.choices, first, end)); }
  bool takes_with(std::size_t at, std::uint64_t value) {
    List candidate = best_.choices;
    candidate[at] = value;
    return takes(candidate);
  }
  static List without(List list, std::size_t first, std::size_t end) {
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(first), list.begin() + static_cast<std::ptrdiff_t>(end));
    return list;
  }

  // The positions at which parts begin, and the end.
  std::vector<std::size_t> bounds() const {
    std::vector<std::size_t> all;
    for (const std::size_t mark : best_.marks)
      if (mark < size() && (all.empty() || all.back() < mark)) all.push_back(mark);
    all.push_back(size());
    return all;
  }

  // Backwards, here and below: later choices depend on earlier ones.
  void delete_parts() {
    for (std::size_t i = bounds().size(); i-- > 0;)
      for (std::size_t parts = kPartsDeleted; parts > 0; --parts)
        if (const std::vector<std::size_t> at = bounds(); i + parts < at.size()) takes_without(at[i], at[i + parts]);
  }

  void delete_runs(std::size_t width) {
    for (std::size_t i = size(); i-- > 0;)
      if (i + width <= size()) takes_without(i, i + width);
  }

  void clear_runs(std::size_t width) {
    for (std::size_t i = size(); i-- > 0;) {
      if (i + width > size()) continue;
      List candidate = best_.choices;
      std::fill_n(candidate.begin() + static_cast<std::ptrdiff_t>(i), width, 0);
      takes(candidate);
    }
  }

  void lower_each() {
    for (std::size_t i = 0; i < size(); ++i) lower(i);
  }
  // The small values first, then by halves of the value: a binary search if all from some value on fail.
  void lower(std::size_t i) {
    const auto now = [&] { return i < size() ? best_.choices[i] : 0; };
    for (std::uint64_t value = 0; value < std::min(kSmall, now()); ++value)
      if (takes_with(i, value)) return;
    for (std::uint64_t step = now() / 2; step > 0; step /= 2)
      while (now() > step && takes_with(i, now() - step)) continue;
  }

  // A lower choice may need fewer choices later, as a size does: lowers one, and deletes some at an end of a part after it.
  void lower_and_delete() {
    for (std::size_t i = size(); i-- > 0;)
      for (const std::uint64_t by : {std::uint64_t(1), i < size() ? best_.choices[i] : 0})
        if (lower_and_delete(i, by)) break;
  }
  bool lower_and_delete(std::size_t i, std::uint64_t by) {
    if (i >= size() || by == 0 || best_.choices[i] < by) return false;
    List lower = best_.choices;
    lower[i] -= by;
    const std::vector<std::size_t> at = bounds();
    std::size_t first = i + 1;
    auto end = std::upper_bound(at.begin(), at.end(), i);
    for (std::size_t parts = 0; parts < kPartsAfter && end != at.end(); ++parts, first = *end++)
      for (std::size_t deleted = 1; deleted <= std::min(kMostDeleted, *end - first); ++deleted)
        if (takes(without(lower, *end - deleted, *end)) || takes(without(lower, first, first + deleted))) return true;
    return false;
  }

  ChoiceList best_;
  const Fails& fails_;
  std::size_t runs_left_;
  std::set<List> tried_;
};

}  // namespace

ChoiceList shrink(ChoiceList failing, const Fails& fails, const ShrinkLimits& limits) {
  return Shrinker(std::move(failing), fails, limits.runs).run();
}

}  // namespace wengert::fuzz
