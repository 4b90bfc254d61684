#pragma once
// Texts as numbers: their characters or words, a vocabulary, and windows of them.
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/tensor/tensor.h"
#include "nn/data/loader.h"

namespace wengert::nn {

struct ReadTextOptions {
  /// A file of more bytes is refused.
  std::uint64_t max_bytes = std::uint64_t{1} << 28;
};

/// A file's text, plain or compressed by gzip: UTF-8 with a byte order mark left out and line ends as "\n". A DataError names the file, and
/// line and byte of the first one that is not UTF-8.
std::string read_text(const std::string& path, ReadTextOptions options = {});

// Refused: `words(lower_case(text))`, whose views would outlive the text.
#define WENGERT_TEMPORARY_TEXT WENGERT_UNAVAILABLE("the result would be views into a temporary text: keep the text in a variable")

/// The characters of a text in UTF-8, each a view into it. A byte that is not UTF-8 is a character of its own.
std::vector<std::string_view> characters(std::string_view text);
template <std::same_as<std::string> S> WENGERT_TEMPORARY_TEXT std::vector<std::string_view> characters(S&& text);

/// The words of a text: runs of letters and digits, with apostrophes inside ("don't"); what else there is separates them. Characters
/// beyond ASCII count as letters. Views into the text.
std::vector<std::string_view> words(std::string_view text);
template <std::same_as<std::string> S> WENGERT_TEMPORARY_TEXT std::vector<std::string_view> words(S&& text);

#undef WENGERT_TEMPORARY_TEXT

/// A text with the letters A to Z in lower case.
std::string lower_case(std::string_view text);

struct VocabularyOptions {
  /// Tokens that occur less often are left out.
  Index min_count = 1;
  /// The most frequent ones are kept; 0: all.
  Index max_size = 0;
  /// The token, with number 0, for everything that is not in the vocabulary; if empty, such tokens are an error.
  std::string unknown = {};
};

/// Tokens with numbers 0, 1, ... They are sorted by their bytes (so that ASCII letters are in alphabetical order), behind `unknown`
/// if there is one: the same set of tokens gives the same numbers, however often each occurs.
class Vocabulary {
 public:
  /// Of the tokens of a text, which may be repeated.
  explicit Vocabulary(std::span<const std::string_view> tokens, const VocabularyOptions& options = {});
  /// Of tokens in a given order, such as one from a state file. An Error if a token occurs twice.
  explicit Vocabulary(std::vector<std::string> tokens, std::string unknown = {});

  /// The number of tokens; all of them; whether there is this one.
  Index size() const { return static_cast<Index>(tokens_.size()); }
  const std::vector<std::string>& tokens() const { return tokens_; }
  bool has(std::string_view token) const { return find(token) >= 0; }
  /// An Error if the vocabulary has neither the token nor one for unknown tokens.
  Index number(std::string_view token) const;
  /// A ShapeError if there is no such number.
  const std::string& token(Index number) const;

  /// The tokens' numbers: (n) int64.
  Tensor encode(std::span<const std::string_view> tokens, Location site = Location::here()) const;
  /// The tokens of numbers (n) int64, one after the other with `between` between them.
  std::string decode(const Tensor& numbers, std::string_view between = {}) const;

 private:
  /// The token's number; -1 if it is not there.
  Index find(std::string_view token) const;

  std::vector<std::string> tokens_;
  std::vector<Index> sorted_;  // numbers in the order of the tokens' bytes
  std::string unknown_;
};

struct WindowOptions {
  Index length = 128;
  /// From the beginning of one window to that of the next.
  Index stride = 1;
  /// What is to be learnt: the token after the window, (n), or the window shifted by one, (n, length).
  enum class Target : std::uint8_t { next, shifted } target = Target::next;
};

/// Windows of a sequence (length) of any dtype: inputs (n, window) and targets. Every window has its whole target in the sequence. A
/// ShapeError if there is not a single one.
Batch windows(const Tensor& sequence, WindowOptions options = {}, Location site = Location::here());

}  // namespace wengert::nn
