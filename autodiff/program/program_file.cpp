// The format, all numbers little-endian:
//
//     "WENGERT\0", u32 version = 1
//     u32 n, n opcode names                         u8 length, characters; instructions refer to them by their position here
//     u32 parameters, u32 data, u32 outputs, u32 paths; then for each path:
//       u32 constants, u32 instructions, u32 guards
//       f64 for each constant
//       for each instruction u32 opcode, and u32 for each operand and option
//       for each guard u8 kind, u32 value, f64 outcome, u8 length and characters of the site
//       u32 for each output
//     u64 FNV-1a hash of all bytes before it
#include "autodiff/program/program_file.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <string_view>

#include "autodiff/io/atomic_file.h"
#include "autodiff/io/mapped_file.h"

namespace wengert {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read and written as they lie in memory");

constexpr std::string_view kMagic("WENGERT\0", 8);
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kLongestText = 255;

std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

class FileWriter {
 public:
  template <class T> void number(T value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void size(std::size_t value) { number(static_cast<std::uint32_t>(value)); }
  void text(std::string_view text) {
    text = text.substr(0, kLongestText);
    number(static_cast<std::uint8_t>(text.size()));
    bytes_ += text;
  }
  void raw(std::string_view bytes) { bytes_ += bytes; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

int used_operands(const Instruction& i) { return info(i.opcode).operands + info(i.opcode).options; }

void write_path(FileWriter& to, const WengertList& list) {
  to.size(list.constants.size());
  to.size(list.instructions.size());
  to.size(list.guards.size());
  for (double c : list.constants) to.number(c);
  for (const Instruction& i : list.instructions) {
    to.size(static_cast<std::size_t>(i.opcode));
    for (int k = 0; k < used_operands(i); ++k) to.number(i.operands[static_cast<std::size_t>(k)]);
  }
  for (const Guard& guard : list.guards) {
    to.number(static_cast<std::uint8_t>(guard.kind));
    to.number(guard.value);
    to.number(guard.outcome);
    to.text(guard.site);
  }
  for (std::uint32_t y : list.outputs) to.number(y);
}

class Reader {
 public:
  explicit Reader(const std::string& path)
      : path_(path), file_(path), bytes_(reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()) {}

  Program read() {
    if (bytes_.size() < kMagic.size() || bytes_.substr(0, kMagic.size()) != kMagic) fail("it does not begin as a program's file does");
    at_ = kMagic.size();
    if (const auto version = number<std::uint32_t>("the version"); version != kVersion)
      fail(fmt::format("its version is {}; this library reads version {}", version, kVersion));
    check_hash();
    read_opcodes();
    const auto parameters = number<std::uint32_t>("the number of parameters"), data = number<std::uint32_t>("the number of data inputs");
    const auto outputs = count("outputs", sizeof(std::uint32_t)), paths = count("paths", 3 * sizeof(std::uint32_t));
    std::vector<WengertList> lists;
    for (std::uint32_t i = 0; i < paths; ++i) lists.push_back(read_path(parameters, data, outputs));
    if (at_ != bytes_.size()) fail(fmt::format("{} bytes follow its last path", bytes_.size() - at_));
    try {
      return Program(std::move(lists));
    } catch (const ValueError& e) {
      fail(e.what());
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: at byte {}: {}", path_, at_, what)); }

  // The hash says at once whether a byte is not as it was written. What it does not say is checked all the same.
  void check_hash() {
    constexpr std::size_t kHashBytes = sizeof(std::uint64_t);
    if (bytes_.size() - at_ < kHashBytes) fail("it is truncated");
    std::uint64_t written = 0;
    std::memcpy(&written, bytes_.data() + bytes_.size() - kHashBytes, kHashBytes);
    bytes_.remove_suffix(kHashBytes);
    if (hash_of(bytes_) != written) fail("it is truncated or damaged: its bytes do not have the hash at its end");
  }

  std::string_view take(std::size_t size, const char* what) {
    if (bytes_.size() - at_ < size) fail(fmt::format("it ends within {}", what));
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  template <class T> T number(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  // A number of things of at least that many bytes each, which must be there.
  std::uint32_t count(const char* what, std::size_t bytes) {
    const auto n = number<std::uint32_t>(what);
    if (n > (bytes_.size() - at_) / bytes) fail(fmt::format("it announces {} {}, more than it has bytes for", n, what));
    return n;
  }
  std::string_view text(const char* what) { return take(number<std::uint8_t>(what), what); }

  void read_opcodes() {
    const auto n = count("opcodes", 1);
    for (std::uint32_t i = 0; i < n; ++i) {
      const std::string_view name = text("an opcode's name");
      const auto opcode = opcode_named(name);
      if (!opcode) fail(fmt::format("it has an operation that this library does not know, number {} of {}", i, n));
      opcodes_.push_back(*opcode);
    }
  }

  WengertList read_path(std::uint32_t parameters, std::uint32_t data, std::uint32_t outputs) {
    WengertList list;
    list.parameters = parameters;
    list.data = data;
    const auto constants = count("constants", sizeof(double)), instructions = count("instructions", 2 * sizeof(std::uint32_t)),
               guards = count("guards", 2 + sizeof(std::uint32_t) + sizeof(double));
    for (std::uint32_t i = 0; i < constants; ++i) list.constants.push_back(number<double>("the constants"));
    for (std::uint32_t i = 0; i < instructions; ++i) {
      const auto opcode = number<std::uint32_t>("the instructions");
      if (opcode >= opcodes_.size()) fail(fmt::format("instruction {} has operation {} of {}", i, opcode, opcodes_.size()));
      Instruction& instruction = list.instructions.emplace_back(Instruction{opcodes_[opcode]});
      for (int k = 0; k < used_operands(instruction); ++k)
        instruction.operands[static_cast<std::size_t>(k)] = number<std::uint32_t>("the instructions");
    }
    for (std::uint32_t i = 0; i < guards; ++i) {
      Guard& guard = list.guards.emplace_back();
      guard.kind = static_cast<GuardKind>(number<std::uint8_t>("the guards"));
      guard.value = number<std::uint32_t>("the guards");
      guard.outcome = number<double>("the guards");
      guard.site = text("a guard's site");
    }
    for (std::uint32_t i = 0; i < outputs; ++i) list.outputs.push_back(number<std::uint32_t>("the outputs"));
    if (const std::string defect = defect_of(list); !defect.empty()) fail(defect);
    return list;
  }

  const std::string& path_;
  const MappedFile file_;
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::vector<Opcode> opcodes_;
};

}  // namespace

void write_program(const std::string& path, const Program& program) {
  FileWriter to;
  to.raw(kMagic);
  to.number(kVersion);
  to.size(static_cast<std::size_t>(opcode_count));
  for (int i = 0; i < opcode_count; ++i) to.text(info(static_cast<Opcode>(i)).name);
  const int paths = program.paths();
  to.size(static_cast<std::size_t>(program.parameters()));
  to.size(static_cast<std::size_t>(program.data()));
  to.size(static_cast<std::size_t>(program.outputs()));
  to.size(static_cast<std::size_t>(paths));
  for (int i = 0; i < paths; ++i) write_path(to, program.path(i));
  to.number(hash_of(to.bytes()));
  write_file_atomically(path, to.bytes());
}

Program read_program(const std::string& path) { return Reader(path).read(); }

}  // namespace wengert
