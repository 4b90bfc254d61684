#include "nn/training/event_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <exception>
#include <filesystem>
#include <limits>
#include <system_error>
#include <vector>

#include "autodiff/io/protobuf.h"
#include "autodiff/tensor/call_site.h"
#include "nn/training/crc32c.h"
#include "nn/training/png_image.h"

namespace wengert::nn {
namespace {

using Message = ProtobufMessage;

// ---- TensorFlow's messages (event.proto, summary.proto, tensor.proto; plugins/hparams of TensorBoard) -----------------------------------

// Fields of Event.
constexpr unsigned kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;
// Fields of Summary.Value.
constexpr unsigned kTag = 1, kSimpleValue = 2, kImage = 4, kHistogram = 5, kTensor = 8, kMetadata = 9;

// SummaryMetadata for a plugin.
Message metadata(std::string_view plugin, const Message& content = {}) {
  return Message().message(1, Message().bytes(1, plugin).message(2, content));
}

constexpr std::int64_t kStringType = 7;  // of TensorProto

// A tensor of strings with one element.
Message one_text(std::string_view text) {
  const Message shape = Message().message(2, Message().integer(1, 1));
  return Message().integer(1, kStringType).message(2, shape).bytes(8, text);
}

// HistogramProto: the upper ends of intervals, and how many values are in each; the first begins at the minimum.
Message histogram_of(std::span<const double> values) {
  constexpr std::size_t kIntervals = 30;
  double min = std::numeric_limits<double>::infinity(), max = -min, sum = 0, squares = 0;
  for (const double v : values) {
    min = std::min(min, v);
    max = std::max(max, v);
    sum += v;
    squares += v * v;
  }
  if (values.empty()) min = max = 0;
  const double width = max / kIntervals - min / kIntervals;
  std::vector<double> ends, counts;
  if (width > 0) {
    for (std::size_t i = 1; i <= kIntervals; ++i) ends.push_back(i == kIntervals ? max : min + static_cast<double>(i) * width);
    counts.resize(kIntervals);
    for (const double v : values) {
      const auto at = std::lower_bound(ends.begin(), ends.end(), v) - ends.begin();  // an interval has its upper end
      ++counts[static_cast<std::size_t>(at)];
    }
  } else if (!values.empty()) {
    ends = {max};
    counts = {static_cast<double>(values.size())};
  }
  Message histogram;
  histogram.number(1, min).number(2, max).number(3, static_cast<double>(values.size())).number(4, sum).number(5, squares);
  return histogram.numbers(6, ends).numbers(7, counts);
}

// google.protobuf.Value.
Message value_of(const Hyperparameter& h) {
  switch (h.kind) {
    case Hyperparameter::Kind::number:
      return Message().number(2, h.number);
    case Hyperparameter::Kind::text:
      return Message().bytes(3, h.text);
    case Hyperparameter::Kind::flag:
      break;
  }
  return Message().integer(4, h.number != 0);
}

Message hyperparameter_event(std::string_view name, unsigned field, const Message& content) {
  return Message()
      .bytes(kTag, fmt::format("_hparams_/{}", name))
      .message(kMetadata, metadata("hparams", Message().message(field, content)));
}

double system_seconds() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

// A record's checksum is masked, because a checksum of data that have their own would often be the same.
std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

}  // namespace

EventWriter::EventWriter(const std::string& folder, EventWriterOptions options)
    : clock_(options.clock ? options.clock : system_seconds), exceptions_(std::uncaught_exceptions()) {
  static std::atomic<unsigned> count{0};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  path_ = (std::filesystem::path(folder) /
           fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<std::int64_t>(clock_()), host_name(), ::getpid(), count++))
              .string();
  do {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);  // NOLINT: the umask applies
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) throw DataError(fmt::format("{}: cannot be written: {}", path_, std::generic_category().message(errno)));
  write_event(Message().number(kWallTime, clock_()).bytes(kFileVersion, "brain.Event:2").text());
}

EventWriter::~EventWriter() {
  try {
    constexpr std::int64_t kSuccess = 1, kFailure = 2;
    const std::int64_t status = std::uncaught_exceptions() > exceptions_ ? kFailure : kSuccess;
    if (session_) write_value(hyperparameter_event("session_end_info", 4, Message().integer(1, status).number(2, clock_())).text(), 0);
  } catch (...) {  // NOLINT(bugprone-empty-catch): a destructor has nobody to tell
  }
  ::close(descriptor_);
}

// An event goes to the file in one piece: its length, the checksum of that, itself, its checksum.
void EventWriter::write_event(std::string_view event) {
  Message length;
  length.little_endian(static_cast<std::uint64_t>(event.size()));
  Message record = length;
  record.little_endian(masked_crc(length.text()));
  Message end;
  end.little_endian(masked_crc(event));
  const std::string bytes = record.text() + std::string(event) + end.text();
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      throw DataError(fmt::format("{}: cannot be written: {}", path_, std::generic_category().message(errno)));
    }
  }
}

void EventWriter::write_value(std::string_view value, Index step) {
  const Message summary = Message().bytes(1, value);
  write_event(Message().number(kWallTime, clock_()).integer(kStep, step).message(kSummary, summary).text());
}

void EventWriter::scalar(std::string_view tag, double value, Index step) {
  write_value(Message().bytes(kTag, tag).number(kSimpleValue, static_cast<float>(value)).text(), step);
}

void EventWriter::histogram(std::string_view tag, const Tensor& values, Index step) {
  wengert::detail::check_defined("EventWriter::histogram", values, "the values");
  std::vector<double> finite = values.to_vector<double>();
  finite.erase(std::remove_if(finite.begin(), finite.end(), [](double v) { return !std::isfinite(v); }), finite.end());
  write_value(Message().bytes(kTag, tag).message(kHistogram, histogram_of(finite)).text(), step);
}

void EventWriter::image(std::string_view tag, const Tensor& image, Index step, Location site) {
  wengert::detail::check_defined("EventWriter::image", image, "the image");
  const Index channels = image.rank() == 3 ? image.size(0) : 1;
  if ((image.rank() != 2 && image.rank() != 3) || (channels != 1 && channels != 3) || image.size() == 0) {
    throw ShapeError(fmt::format("EventWriter::image: {} is not (height, width), (1, height, width) or (3, height, width) with elements",
                                 describe(image)),
                     CallSite::of(site));
  }
  const Index height = image.size(-2), width = image.size(-1);
  const auto plane = static_cast<std::size_t>(height * width);
  const std::vector<double> values = image.to_vector<double>();
  std::vector<std::uint8_t> pixels;
  pixels.reserve(3 * plane);
  for (std::size_t i = 0; i < plane; ++i) {
    const double color[] = {values[i], values[channels == 3 ? plane + i : i], values[channels == 3 ? 2 * plane + i : i]};
    const bool is_nan = std::isnan(color[0]) || std::isnan(color[1]) || std::isnan(color[2]);
    for (std::size_t c = 0; c < 3; ++c) {
      const double shown = is_nan ? (c == 1 ? 0 : 1) : std::clamp(color[c], 0.0, 1.0);
      pixels.push_back(static_cast<std::uint8_t>(std::lround(255 * shown)));
    }
  }
  constexpr std::int64_t kRgb = 3;
  const Message content =
      Message().integer(1, height).integer(2, width).integer(3, kRgb).bytes(4, encode_png(path_, width, height, pixels));
  write_value(Message().bytes(kTag, tag).message(kImage, content).text(), step);
}

void EventWriter::text(std::string_view tag, std::string_view text, Index step) {
  write_value(Message()
                  .bytes(kTag, fmt::format("{}/text_summary", tag))
                  .message(kTensor, one_text(text))
                  .message(kMetadata, metadata("text"))
                  .text(),
              step);
}

void EventWriter::hyperparameters(std::span<const Hyperparameter> settings, std::span<const std::string> metrics) {
  Message experiment, start;
  for (const Hyperparameter& h : settings) {
    experiment.message(4, Message().bytes(1, h.name).integer(4, static_cast<std::int64_t>(h.kind)));
    start.message(1, Message().bytes(1, h.name).message(2, value_of(h)));
  }
  for (const std::string& tag : metrics) experiment.message(5, Message().message(1, Message().bytes(2, tag)));
  start.number(5, clock_());
  write_value(hyperparameter_event("experiment", 2, experiment).text(), 0);
  write_value(hyperparameter_event("session_start_info", 3, start).text(), 0);
  session_ = true;
}

}  // namespace wengert::nn
