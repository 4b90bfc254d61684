#pragma once
// A number with a name: a loss, an accuracy, a learning rate.
#include <string_view>

namespace wengert::nn {

/// {"loss", 0.31}. The name is a view: functions that keep it make a copy.
struct NamedValue {
  std::string_view name;
  double value = 0;
};

}  // namespace wengert::nn
