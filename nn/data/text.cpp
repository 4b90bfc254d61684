#include "nn/data/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "autodiff/io/in_quotes.h"
#include "autodiff/tensor/call_site.h"
#include "nn/data/input.h"

namespace wengert::nn {
namespace {

// How many bytes the character at the beginning of `text` has (RFC 3629); 0 if it is none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t bytes = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i)
    if (byte(i) >> 6 != 2) return 0;
  // An overlong form, half of a surrogate pair, beyond the last character.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
  if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
  return bytes;
}

void check_characters(const std::string& path, std::string_view text) {
  std::size_t line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = character_bytes(text.substr(at));
    if (bytes == 0 || text[at] == '\0') {
      throw DataError(
          fmt::format("{}: line {}: byte {} is {:02x}, which is not valid UTF-8", path, line, at, static_cast<unsigned char>(text[at])));
    }
    line += text[at] == '\n';
    at += bytes;
  }
}

// "\r\n" and "\r" become "\n".
void unify_line_ends(std::string& text) {
  std::size_t to = 0;
  for (std::size_t from = 0; from < text.size(); ++from) {
    if (text[from] == '\r' && from + 1 < text.size() && text[from + 1] == '\n') continue;
    text[to++] = text[from] == '\r' ? '\n' : text[from];
  }
  text.resize(to);
}

bool is_word_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

// Tokens to keep, in the order of their bytes.
std::vector<std::string> chosen(std::span<const std::string_view> tokens, const VocabularyOptions& options) {
  std::unordered_map<std::string_view, Index> counts;
  for (const std::string_view token : tokens) ++counts[token];
  std::vector<std::pair<std::string_view, Index>> kept;
  for (const auto& entry : counts)
    if (entry.second >= options.min_count && entry.first != options.unknown) kept.push_back(entry);
  if (options.max_size > 0 && static_cast<Index>(kept.size()) > options.max_size) {
    std::sort(kept.begin(), kept.end(),
              [](const auto& a, const auto& b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
    kept.resize(static_cast<std::size_t>(options.max_size));
  }
  std::vector<std::string> list;
  list.reserve(kept.size() + 1);
  for (const auto& entry : kept) list.emplace_back(entry.first);
  std::sort(list.begin(), list.end());
  if (!options.unknown.empty()) list.insert(list.begin(), options.unknown);
  return list;
}

}  // namespace

std::string read_text(const std::string& path, ReadTextOptions options) {
  std::string text = read_whole(path, options.max_bytes, "ReadTextOptions::max_bytes");
  check_characters(path, text);
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  unify_line_ends(text);
  return text;
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> list;
  while (!text.empty()) {
    const std::size_t bytes = std::max<std::size_t>(1, character_bytes(text));
    list.push_back(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  return list;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> list;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_word_character(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at + 1;
    while (end < text.size() &&
           (is_word_character(text[end]) || (text[end] == '\'' && end + 1 < text.size() && is_word_character(text[end + 1]))))
      ++end;
    list.push_back(text.substr(at, end - at));
    at = end;
  }
  return list;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

Vocabulary::Vocabulary(std::span<const std::string_view> tokens, const VocabularyOptions& options)
    : Vocabulary(chosen(tokens, options), options.unknown) {}

Vocabulary::Vocabulary(std::vector<std::string> tokens, std::string unknown) : tokens_(std::move(tokens)), unknown_(std::move(unknown)) {
  sorted_.resize(tokens_.size());
  std::iota(sorted_.begin(), sorted_.end(), Index{0});
  const auto text = [&](Index i) -> const std::string& { return tokens_[static_cast<std::size_t>(i)]; };
  std::sort(sorted_.begin(), sorted_.end(), [&](Index a, Index b) { return text(a) < text(b); });
  const auto twice = std::adjacent_find(sorted_.begin(), sorted_.end(), [&](Index a, Index b) { return text(a) == text(b); });
  if (twice != sorted_.end()) throw Error(fmt::format("Vocabulary: the token {} occurs twice", in_quotes(text(*twice))));
  if (!unknown_.empty() && !has(unknown_))
    throw Error(fmt::format("Vocabulary: the token {} for unknown ones is not among the tokens", in_quotes(unknown_)));
}

Index Vocabulary::find(std::string_view token) const {
  const auto found = std::lower_bound(sorted_.begin(), sorted_.end(), token,
                                      [&](Index i, std::string_view wanted) { return tokens_[static_cast<std::size_t>(i)] < wanted; });
  return found != sorted_.end() && tokens_[static_cast<std::size_t>(*found)] == token ? *found : -1;
}

Index Vocabulary::number(std::string_view token) const {
  if (const Index found = find(token); found >= 0) return found;
  if (!unknown_.empty()) return find(unknown_);
  throw Error(fmt::format("Vocabulary: the token {} is not one of the {}; hint: VocabularyOptions::unknown names a token for unknown ones",
                          in_quotes(token), size()));
}

const std::string& Vocabulary::token(Index number) const {
  if (number < 0 || number >= size()) throw ShapeError(fmt::format("Vocabulary: there is no token {}, only {} tokens", number, size()));
  return tokens_[static_cast<std::size_t>(number)];
}

Tensor Vocabulary::encode(std::span<const std::string_view> tokens, Location site) const {
  Tensor numbers = Tensor::uninitialized({static_cast<Index>(tokens.size())}, int64, site);
  Index* to = numbers.mutable_data<Index>();
  for (const std::string_view token : tokens) *to++ = number(token);
  return numbers;
}

std::string Vocabulary::decode(const Tensor& numbers, std::string_view between) const {
  std::string text;
  for (const Index number : numbers.to_vector<Index>()) {
    if (!text.empty()) text += between;
    text += token(number);
  }
  return text;
}

Batch windows(const Tensor& sequence, WindowOptions options, Location site) {
  wengert::detail::check_defined("windows", sequence, "the sequence");
  const Index length = options.length, stride = options.stride;
  if (sequence.rank() != 1 || length <= 0 || stride <= 0 || sequence.size() <= length) {
    throw ShapeError(
        fmt::format("windows: {} has no window of length {} with a target behind it, stride {}", describe(sequence), length, stride),
        CallSite::of(site));
  }
  const Index n = (sequence.size() - length - 1) / stride + 1;
  const Tensor dense = sequence.constant().contiguous();
  const auto strided = [&](Index first, Index width) { return view(dense, {n, width}, {stride, 1}, first, site).clone(site); };
  if (options.target == WindowOptions::Target::shifted) return {strided(0, length), strided(1, length)};
  return {strided(0, length), view(dense, {n}, {stride}, length, site).clone(site)};
}

}  // namespace wengert::nn
