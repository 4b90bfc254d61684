#pragma once
// Internal.
// Builds C++ source into a shared object, loads it and calls its functions.
#include <memory>
#include <string>
#include <vector>

namespace wengert::detail {

class SharedObject {
 public:
  /// Compiles and loads a source. Null if that fails; `report` then says why, else by which command it was made.
  static std::shared_ptr<const SharedObject> build(const std::string& source, const std::vector<std::string>& command, std::string& report);
  ~SharedObject();
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  /// Null if there is no such function.
  template <class Function> Function* find(const char* name) const { return reinterpret_cast<Function*>(address_of(name)); }

 private:
  explicit SharedObject(void* handle) : handle_(handle) {}
  void* address_of(const char* name) const;

  void* handle_;
};

}  // namespace wengert::detail
