#include "nn/data/cifar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "autodiff/tensor/call_site.h"
#include "nn/data/input.h"

namespace wengert::nn {
namespace {

constexpr Index kSide = 32, kChannels = 3, kClasses = 10;
constexpr std::size_t kPixelBytes = kChannels * kSide * kSide, kRecordBytes = 1 + kPixelBytes;
constexpr int kBatches = 5;

// The records of files, one after the other.
struct Records {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int64_t> labels;

  void append(const std::string& path, Index max_records = CifarOptions().max_records) {
    Input input(path);
    const std::size_t before = labels.size();
    while (append_record(input, labels.size() - before)) {
      if (static_cast<Index>(labels.size() - before) > max_records)
        refuse_file(path, fmt::format("holds more than {} records, the limit CifarOptions::max_records", max_records));
    }
    if (labels.size() == before) refuse_file(path, "holds no records");
  }

  LabelledImages take() {
    const auto n = static_cast<Index>(labels.size());
    Tensor images = Tensor::uninitialized({n, kChannels, kSide, kSide});
    auto* to = images.mutable_data<float>();
    for (std::size_t i = 0; i < pixels.size(); ++i) to[i] = static_cast<float>(pixels[i] / 255.0);
    return {images, Tensor::from(labels)};
  }

 private:
  bool append_record(Input& input, std::size_t number) {
    std::uint8_t label;
    if (input.read(&label, 1) == 0) return false;
    if (label >= kClasses) {
      refuse_file(input.path(),
                  fmt::format("record {} at byte {}: the label {} is not in [0, {}); is this a file of CIFAR-10's binary version?", number,
                              number * kRecordBytes, label, kClasses));
    }
    const std::size_t have = pixels.size();
    pixels.resize(have + kPixelBytes);
    if (const std::size_t got = input.read(pixels.data() + have, kPixelBytes); got < kPixelBytes) {
      refuse_file(input.path(),
                  fmt::format("record {} at byte {} is cut off: {} bytes of {}", number, number * kRecordBytes, 1 + got, kRecordBytes));
    }
    labels.push_back(label);
    return true;
  }
};

std::optional<std::string> find_file(const std::string& directory, std::string_view name) {
  for (const char* folder : {"", "cifar-10-batches-bin/"}) {
    for (const char* ending : {"", ".gz"}) {
      std::string path = fmt::format("{}/{}{}{}", directory, folder, name, ending);
      if (::access(path.c_str(), F_OK) == 0) return path;
    }
  }
  return std::nullopt;
}

}  // namespace

LabelledImages read_cifar10(const std::string& path, CifarOptions options, Location site) {
  const CallSite scope(site);
  Records records;
  records.append(path, options.max_records);
  return records.take();
}

ImageDataset load_cifar10(const std::string& directory, Location site) {
  const CallSite scope(site);
  Records train;
  for (int i = 1; i <= kBatches; ++i) {
    if (const auto path = find_file(directory, fmt::format("data_batch_{}.bin", i))) train.append(*path);
  }
  const auto test = find_file(directory, "test_batch.bin");
  if (train.labels.empty() || !test) {
    refuse_file(directory, fmt::format("no file {} (or with .gz) here or in cifar-10-batches-bin/",
                                       test ? "data_batch_1.bin to data_batch_5.bin" : "test_batch.bin"));
  }
  return {train.take(), read_cifar10(*test), kClasses};
}

}  // namespace wengert::nn
