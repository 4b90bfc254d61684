#pragma once
// Whose operation a rule belongs to. What a rule computes in a sweep is said to be made where the user called the operation, and not in
// the rule's own line.
#include "autodiff/error.h"

namespace wengert::detail {

/// Line 0: no rule is running on this thread.
inline thread_local constinit Location location_of_rule{};

/// `where`, or the place of the operation whose rule is running.
inline Location user_location(Location where) { return location_of_rule.line ? location_of_rule : where; }

/// For the scope of a rule.
class RuleOf {
 public:
  explicit RuleOf(Location forward) : outer_(location_of_rule) { location_of_rule = forward; }
  ~RuleOf() { location_of_rule = outer_; }
  RuleOf(const RuleOf&) = delete;
  RuleOf& operator=(const RuleOf&) = delete;

 private:
  Location outer_;
};

}  // namespace wengert::detail
