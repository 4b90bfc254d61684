#pragma once
// Random numbers once more: a scope keeps where its draws began, and another one makes the same draws again.
#include "autodiff/tensor/random.h"
#include "autodiff/tensor/storage.h"

namespace wengert::detail {

using Draws = pool::Vector<Generator::Position>;

/// For a scope of the calling thread: keeps where every draw of any generator begins; or, with `again`, makes the draws begin where
/// those that were kept did, and leaves the generators where they are. Scopes nest: what is drawn again is kept by the scopes inside.
class DrawScope {
 public:
  DrawScope(Draws& draws, bool again);
  ~DrawScope();
  DrawScope(const DrawScope&) = delete;
  DrawScope& operator=(const DrawScope&) = delete;

  /// A draw is about to begin at `at`: keeps it, or replaces it by the one to be made again and returns true.
  static bool meets(Generator::Position& at);
  /// Whether all that were kept have been drawn again.
  bool all_drawn() const { return !again_ || next_ == draws_.size(); }

 private:
  Draws& draws_;
  const bool again_;
  std::size_t next_ = 0;  // of those to be made again
  DrawScope* outer_;
};

}  // namespace wengert::detail
