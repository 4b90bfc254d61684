#pragma once
// A small fixed-width font for captions. Internal.

namespace wengert::nn::font {

inline constexpr int kGlyphWidth = 5, kGlyphHeight = 8;  // the last row is for what hangs below the line
inline constexpr int kAdvance = kGlyphWidth + 1;

/// Whether the glyph of an ASCII character is set at a row and a column; other characters look like '?'.
bool is_set(char c, int row, int column);

}  // namespace wengert::nn::font
