#pragma once
// Internal.
// The paths of a program: one list for each sequence of guard outcomes that a lane has taken so far, in a trie. A path but the first forks
// from its parent at one guard; up to there both asked the same and got the same.
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "autodiff/program/list.h"
#include "autodiff/program/plan.h"

namespace wengert::detail {

/// Records paths anew, at the inputs of a lane.
class PathSource {
 public:
  virtual ~PathSource() = default;
  /// The list at these inputs. Values are computed in float32 or float64, as the lane's are.
  virtual WengertList record(std::span<const double> parameters, std::span<const double> data, bool in_float32) const = 0;
};

class Path {
 public:
  Path(WengertList list, int parent, std::uint32_t fork) : list(std::move(list)), parent(parent), fork(fork) {}

  const WengertList list;
  const int parent;          ///< -1: the first path
  const std::uint32_t fork;  ///< the guard that turns out otherwise than on the parent
  /// Made when it is asked for first.
  const Plan& plan(Wanted wanted) const;

 private:
  mutable std::mutex mutex_;
  mutable std::unique_ptr<const Plan> plans_[2][2][2][3];
};

/// All may be called by several threads at once.
class PathSet {
 public:
  PathSet(WengertList first, std::shared_ptr<const PathSource> source, int most);

  int size() const;
  const Path& operator[](int path) const;
  bool can_record() const { return source_ != nullptr; }
  int most() const { return most_; }
  /// The path of a lane that left `path` at a guard with this outcome; empty if none is known.
  std::optional<int> after(int path, std::uint32_t guard, double outcome) const;
  /// The same; if none is known, it is recorded at the lane's inputs. A ValueError if these are too many paths, or if the function does not
  /// do the same at the same inputs.
  int after_or_recorded(int path, std::uint32_t guard, double outcome, std::span<const double> parameters, std::span<const double> data,
                        bool in_float32);
  /// Adds a path; the number of the one that asks and gets the same, if there is one. A ValueError if they are too many.
  int add(WengertList list);

 private:
  std::optional<int> find_after(int path, std::uint32_t guard, double outcome) const;
  [[noreturn]] void fail_with_too_many() const;

  mutable std::mutex mutex_;
  std::deque<Path> paths_;
  const std::shared_ptr<const PathSource> source_;
  const int most_;
};

/// "guard 3, model.cpp:41: v12 < 0.5".
std::string describe_guard(const WengertList& list, std::size_t guard);

}  // namespace wengert::detail
