#pragma once
// CIFAR-10: 32 x 32 colour images of ten classes (Krizhevsky 2009), in its binary format.
#include <array>
#include <string>

#include "autodiff/tensor/tensor.h"
#include "nn/data/idx.h"

namespace wengert::nn {

/// The names of the classes, by their numbers.
inline constexpr std::array kCifar10Classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

struct CifarOptions {
  /// A file of more records is refused: a small compressed one may expand to a thousand times its size.
  Index max_records = 100'000;
};

/// Reads one file of records, plain or compressed by gzip: the label's byte, then 1024 bytes of red, 1024 of green, 1024 of blue, each
/// plane row by row. Images (n, 3, 32, 32) float32 in [0, 1], labels (n) int64 in [0, 10). A DataError names the file, and the record and
/// byte where there are some: a label beyond 9, a last record that is cut off, no record at all, damaged gzip data. Memory grows with what
/// really arrives.
LabelledImages read_cifar10(const std::string& path, CifarOptions options = {}, Location site = Location::here());

/// Reads the data set from `directory`, or from cifar-10-batches-bin/ in it: data_batch_1.bin to data_batch_5.bin, as many as there are,
/// one after the other, and test_batch.bin, each plain or with .gz.
ImageDataset load_cifar10(const std::string& directory, Location site = Location::here());

}  // namespace wengert::nn
