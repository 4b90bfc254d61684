#include "nn/training/image_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include "autodiff/io/atomic_file.h"
#include "autodiff/tensor/call_site.h"
#include "nn/training/bitmap_font.h"
#include "nn/training/png_image.h"

namespace wengert::nn {
namespace {

struct Color {
  std::uint8_t red, green, blue;
};

constexpr Color kPaper{255, 255, 255}, kInk{40, 40, 40}, kMark{200, 30, 30}, kNotANumber{255, 0, 255};
constexpr Index kComfortableWidth = 100;  // of an image in the picture
constexpr Index kFrame = 3;               // its thickness; room is left for it around every image
constexpr Index kGapInPixels = 14;        // between cells
constexpr Index kFontScale = 2;           // pixels for one of the font
constexpr Index kLineHeight = (font::kGlyphHeight + 2) * kFontScale;
constexpr Index kMaxSide = 65'535;  // many viewers refuse more

class Picture {
 public:
  Picture(Index width, Index height) : width_(width), height_(height), pixels_(static_cast<std::size_t>(3 * width * height), kPaper.red) {}

  void fill(Index x, Index y, Index width, Index height, Color color) {
    for (Index row = y; row < y + height; ++row) {
      for (Index column = x; column < x + width; ++column) {
        std::uint8_t* pixel = &pixels_[static_cast<std::size_t>(3 * (row * width_ + column))];
        pixel[0] = color.red;
        pixel[1] = color.green;
        pixel[2] = color.blue;
      }
    }
  }

  void write(Index x, Index y, std::string_view text, Color color) {
    for (const char c : text) {
      for (int row = 0; row < font::kGlyphHeight; ++row) {
        for (int column = 0; column < font::kGlyphWidth; ++column) {
          if (font::is_set(c, row, column)) fill(x + column * kFontScale, y + row * kFontScale, kFontScale, kFontScale, color);
        }
      }
      x += font::kAdvance * kFontScale;
    }
  }

  void save(const std::string& path) const { write_file_atomically(path, encode_png(path, width_, height_, pixels_)); }

 private:
  Index width_, height_;
  std::vector<std::uint8_t> pixels_;
};

std::vector<std::string_view> lines_of(std::string_view caption) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin <= caption.size();) {
    const std::size_t end = std::min(caption.find('\n', begin), caption.size());
    lines.push_back(caption.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

Index text_width(std::string_view line) { return line.empty() ? 0 : (static_cast<Index>(line.size()) * font::kAdvance - 1) * kFontScale; }

// The images in gray or colour: element (image, channel, row, column), shown between low and high.
struct Images {
  std::vector<double> values;
  Index count, channels, height, width;
  double low, high;

  Color color(Index image, Index row, Index column) const {
    std::uint8_t channel[3];
    for (Index c = 0; c < 3; ++c) {
      const Index plane = image * channels + std::min(c, channels - 1);
      const double value = values[static_cast<std::size_t>((plane * height + row) * width + column)];
      if (std::isnan(value)) return kNotANumber;
      channel[c] = static_cast<std::uint8_t>(std::lround(255 * std::clamp((value - low) / (high - low), 0.0, 1.0)));
    }
    return {channel[0], channel[1], channel[2]};
  }
};

Images images_of(const Tensor& images, const ImageGridOptions& options, Location site) {
  const int rank = images.rank();
  const Index channels = rank == 4 ? images.size(1) : 1;
  if ((rank != 3 && rank != 4) || (channels != 1 && channels != 3) || images.size() == 0) {
    throw ShapeError(
        fmt::format("write_image_grid: {} is not (n, height, width), (n, 1, height, width) or (n, 3, height, width) with elements",
                    describe(images)),
        CallSite::of(site));
  }
  if (!options.captions.empty() && static_cast<Index>(options.captions.size()) != images.size(0)) {
    throw ShapeError(fmt::format("write_image_grid: {} captions for {} images", options.captions.size(), images.size(0)),
                     CallSite::of(site));
  }
  if (!(options.high > options.low)) {
    throw ValueError(fmt::format("write_image_grid: high {} is not above low {}", options.high, options.low), CallSite::of(site));
  }
  return {images.to_vector<double>(), images.size(0), channels, images.size(-2), images.size(-1), options.low, options.high};
}

// The layout: cells of one size, each an image in its frame with its caption below, centred.
struct Layout {
  Index columns, rows, magnification, cell_width, cell_height, image_width, image_height;

  Layout(const Images& images, const ImageGridOptions& options) {
    columns = options.columns > 0 ? options.columns : static_cast<Index>(std::ceil(std::sqrt(static_cast<double>(images.count))));
    columns = std::min(columns, images.count);
    rows = (images.count + columns - 1) / columns;
    magnification =
        options.magnification > 0 ? options.magnification : std::max<Index>(1, (kComfortableWidth + images.width / 2) / images.width);
    image_width = images.width * magnification;
    image_height = images.height * magnification;
    Index caption_width = 0, caption_lines = 0;
    for (const std::string& caption : options.captions) {
      const std::vector<std::string_view> lines = lines_of(caption);
      caption_lines = std::max(caption_lines, static_cast<Index>(lines.size()));
      for (const std::string_view line : lines) caption_width = std::max(caption_width, text_width(line));
    }
    cell_width = std::max(image_width + 2 * kFrame, caption_width) + kGapInPixels;
    cell_height = image_height + 2 * kFrame + (caption_lines > 0 ? caption_lines * kLineHeight + kFontScale : 0) + kGapInPixels;
  }

  Index width() const { return columns * cell_width + kGapInPixels; }
  Index height() const { return rows * cell_height + kGapInPixels; }
};

void draw_cell(Picture& picture, const Layout& layout, const Images& images, Index image, std::string_view caption, bool marked) {
  const Index left = kGapInPixels + image % layout.columns * layout.cell_width,
              top = kGapInPixels + image / layout.columns * layout.cell_height;
  const Index inner = layout.cell_width - kGapInPixels, scale = layout.magnification;
  const Index x = left + (inner - layout.image_width) / 2, y = top + kFrame;
  if (marked) picture.fill(x - kFrame, y - kFrame, layout.image_width + 2 * kFrame, layout.image_height + 2 * kFrame, kMark);
  for (Index row = 0; row < images.height; ++row) {
    for (Index column = 0; column < images.width; ++column) {
      picture.fill(x + column * scale, y + row * scale, scale, scale, images.color(image, row, column));
    }
  }
  Index baseline = y + layout.image_height + kFrame + kFontScale;
  for (const std::string_view line : lines_of(caption)) {
    picture.write(left + (inner - text_width(line)) / 2, baseline, line, marked ? kMark : kInk);
    baseline += kLineHeight;
  }
}

// Brings values from their own range to [0, 1]; equal values become 0.5. NaN stays.
void spread(std::span<double> values) {
  double smallest = std::numeric_limits<double>::infinity(), largest = -smallest;
  for (const double value : values) {
    smallest = std::fmin(smallest, value);  // NaN is no minimum
    largest = std::fmax(largest, value);
  }
  for (double& value : values) value = largest > smallest ? (value - smallest) / (largest - smallest) : value - value + 0.5;
}

// Gray images (n * channels, height, width), the channels of each in a row; in colour (n, 3, height, width).
void write_planes(const std::vector<double>& values, const Shape& shape, bool in_color, const std::string& png_path,
                  ImageGridOptions options, Location site) {
  const Index n = shape[0], channels = shape[1], height = shape[2], width = shape[3];
  options.low = 0;
  options.high = 1;
  if (in_color) return write_image_grid(Tensor::from(values, shape, site), png_path, options, site);
  if (options.columns == 0 && n > 1 && channels > 1) options.columns = static_cast<int>(channels);
  write_image_grid(Tensor::from(values, Shape{n * channels, height, width}, site), png_path, options, site);
}

}  // namespace

void write_image_grid(const Tensor& images, const std::string& png_path, const ImageGridOptions& options, Location site) {
  const Images shown = images_of(images, options, site);
  const Layout layout(shown, options);
  if (layout.width() > kMaxSide || layout.height() > kMaxSide) {
    throw ShapeError(fmt::format("write_image_grid: {} images make a picture of {} x {} pixels, more than {} on a side; show fewer",
                                 shown.count, layout.width(), layout.height(), kMaxSide),
                     CallSite::of(site));
  }
  Picture picture(layout.width(), layout.height());
  for (Index image = 0; image < shown.count; ++image) {
    const bool marked = std::find(options.marked.begin(), options.marked.end(), image) != options.marked.end();
    const std::string_view caption =
        options.captions.empty() ? std::string_view() : std::string_view(options.captions[static_cast<std::size_t>(image)]);
    draw_cell(picture, layout, shown, image, caption, marked);
  }
  picture.save(png_path);
}

void write_filters(const Tensor& weight, const std::string& png_path, const ImageGridOptions& options, Location site) {
  if (weight.rank() != 4 || weight.size() == 0) {
    throw ShapeError(fmt::format("write_filters: {} is not (out, in, height, width) with elements", describe(weight)), CallSite::of(site));
  }
  const bool in_color = weight.size(1) == 3;
  std::vector<double> values = weight.to_vector<double>();
  const Index filters = weight.size(0) * (in_color ? 1 : weight.size(1));
  const std::size_t filter_size = values.size() / static_cast<std::size_t>(filters);
  for (std::size_t first = 0; first < values.size(); first += filter_size) spread(std::span(values).subspan(first, filter_size));
  write_planes(values, weight.shape(), in_color, png_path, options, site);
}

void write_activation_maps(const Tensor& maps, const std::string& png_path, const ImageGridOptions& options, Location site) {
  if ((maps.rank() != 3 && maps.rank() != 4) || maps.size() == 0) {
    throw ShapeError(fmt::format("write_activation_maps: {} is not (channels, height, width) or (n, channels, height, width) with elements",
                                 describe(maps)),
                     CallSite::of(site));
  }
  std::vector<double> values = maps.to_vector<double>();
  spread(values);
  const Shape shape{maps.rank() == 4 ? maps.size(0) : 1, maps.size(-3), maps.size(-2), maps.size(-1)};
  write_planes(values, shape, false, png_path, options, site);
}

}  // namespace wengert::nn
