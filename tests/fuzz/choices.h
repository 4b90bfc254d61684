#pragma once
// The choices of a random program: drawn from a seed, or replayed from a list.
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace wengert::fuzz {

/// Choices in the order in which they were made, and the positions at which a part begins: a step, the elements of a tensor ...
struct ChoiceList {
  std::vector<std::uint64_t> choices;
  std::vector<std::size_t> marks;
};

/// Where every choice of a program comes from. 0 is the simplest one everywhere.
class Choices {
 public:
  /// Random ones. (The seed is mixed, because the numbers of consecutive seeds would overlap.)
  explicit Choices(std::uint64_t seed) : state_(mixed(seed + 1)) { made_.choices.reserve(kUsual); }
  /// Those of the list, modulo what each chooses from; 0 after its end.
  explicit Choices(std::vector<std::uint64_t> list) : replayed_(std::move(list)), replays_(true) { made_.choices.reserve(kUsual); }

  /// A number in [0, n).
  std::uint64_t below(std::uint64_t n) {
    made_.choices.push_back(next() % n);
    return made_.choices.back();
  }
  /// A part begins here.
  void mark() { made_.marks.push_back(made_.choices.size()); }
  /// The choices so far, each below its n.
  const ChoiceList& made() const { return made_; }

 private:
  static constexpr std::size_t kUsual = 256;

  /// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
  static std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  std::uint64_t next() {
    if (!replays_) return mixed(state_ += 0x9e3779b97f4a7c15u);
    const std::size_t at = made_.choices.size();
    return at < replayed_.size() ? replayed_[at] : 0;
  }

  std::uint64_t state_ = 0;
  std::vector<std::uint64_t> replayed_;
  bool replays_ = false;
  ChoiceList made_;
};

}  // namespace wengert::fuzz
