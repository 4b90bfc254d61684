// Data sets.
#include <nn/data/cifar.h>
#include <nn/data/csv.h>
#include <nn/data/idx.h>
#include <nn/data/text.h>

#include <string>

#include "memory_file.h"
#include "targets.h"
#include "use.h"

namespace wengert::fuzz::readers {

void csv(Bytes input) {
  const MemoryFile file(input);
  for (const bool header : {true, false}) {
    try {
      const nn::Table table = nn::read_csv(file.path(), {.separator = header ? ',' : ';', .header = header});
      use(table.tensor(table.names(), float64, {.missing = 0, .allow_nonfinite = true}));
    } catch (const Error&) {
      if (!header) throw;
    }
  }
}

void idx(Bytes input) { use(nn::read_idx(MemoryFile(input).path())); }

void cifar(Bytes input) {
  const nn::LabelledImages read = nn::read_cifar10(MemoryFile(input).path(), {.max_records = kExpandedBytes / 3073});
  use(read.images);
  use(read.labels);
}

void text(Bytes input) {
  const std::string text = nn::lower_case(nn::read_text(MemoryFile(input).path()));
  const nn::Vocabulary words(nn::words(text)), characters(nn::characters(text));
  use(characters.encode(nn::characters(text)));
  use(words.encode(nn::words(text)));
}

}  // namespace wengert::fuzz::readers
