#pragma once
// Repeating random numbers: one scope records where its draws begin, and another one repeats these draws.
#include "autodiff/tensor/random.h"
#include "autodiff/tensor/storage.h"

namespace wengert::detail {

using Draws = pool::Vector<Generator::Position>;

/// A scope of the calling thread that records where every draw of any generator begins; or, with `again`, repeats the recorded draws and
/// leaves the generators as they are. Scopes nest: inner scopes record repeated draws as well.
class DrawScope {
 public:
  DrawScope(Draws& draws, bool again);
  ~DrawScope();
  DrawScope(const DrawScope&) = delete;
  DrawScope& operator=(const DrawScope&) = delete;

  /// Called when a draw begins at `at`: records it; or replaces it by the draw to repeat, and returns true.
  static bool meets(Generator::Position& at);
  /// Whether all recorded draws have been repeated.
  bool all_drawn() const { return !again_ || next_ == draws_.size(); }

 private:
  Draws& draws_;
  const bool again_;
  std::size_t next_ = 0;  // the next draw to repeat
  DrawScope* outer_;
};

}  // namespace wengert::detail
