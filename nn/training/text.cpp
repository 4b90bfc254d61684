#include "nn/training/text.h"

#include <algorithm>

namespace wengert::nn::text {
namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

std::string spaces_up_to(std::string_view s, std::size_t characters) {
  return std::string(characters - std::min(width(s), characters), ' ');
}

}  // namespace

std::size_t width(std::string_view s) { return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), begins_character)); }

std::string_view clipped(std::string_view s, std::size_t characters) {
  std::size_t at = 0, passed = 0;
  for (; at < s.size(); ++at) {
    if (begins_character(s[at]) && passed++ == characters) break;
  }
  return s.substr(0, at);
}

std::string left(std::string_view s, std::size_t characters) { return std::string(s) + spaces_up_to(s, characters); }
std::string right(std::string_view s, std::size_t characters) { return spaces_up_to(s, characters) + std::string(s); }

}  // namespace wengert::nn::text
