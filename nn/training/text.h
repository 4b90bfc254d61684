#pragma once
// Texts in columns: widths and cuts count characters of UTF-8, not bytes. Internal.
#include <cstddef>
#include <string>
#include <string_view>

namespace wengert::nn::text {

/// How many characters `s` has.
std::size_t width(std::string_view s);
/// The first `characters` characters of `s`, all if there are no more.
std::string_view clipped(std::string_view s, std::size_t characters);
/// `s` filled up with spaces, behind or in front, to `characters` characters.
std::string left(std::string_view s, std::size_t characters);
std::string right(std::string_view s, std::size_t characters);

}  // namespace wengert::nn::text
