#pragma once
// What models are made of: modules, and the visitors that walk them.
#include <concepts>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/random.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

class Module;
class Visitor;
/// A type derived from Module.
template <class M> concept ModuleType = std::derived_from<M, Module>;

namespace detail {

/// Not a module, but with members to name.
template <class T> concept HasVisit = requires(T& member, Visitor& visitor) { member.visit(visitor); };
/// std::optional, std::unique_ptr, std::shared_ptr: what owns a member, or is empty. (A plain pointer owns nothing.)
template <class T> concept Holder = !std::is_pointer_v<T> && requires(T & member) {
  static_cast<bool>(member);
  member.operator->();
  *member;
};
/// std::vector, std::array, std::list, an array: members in a row.
template <class T> concept Row = requires(T& members) { std::begin(members) != std::end(members); };
template <class T> inline constexpr bool kNever = false;

/// A number's digits.
class Digits {
 public:
  explicit Digits(std::size_t number);
  operator std::string_view() const { return {digits_, size_}; }

 private:
  char digits_[20];
  std::size_t size_;
};

}  // namespace detail

/// Walks the members that a module names in its `visit`. A visitor overrides the functions for the kinds of members that it needs; `path()`
/// is the name of the current one.
class Visitor {
 public:
  /// For `visit`: names one member. It may be
  ///
  ///  - a Parameter;
  ///  - a Tensor: running statistics and the like, which are saved and not trained;
  ///  - a Generator: where the module's random numbers come from, which checkpoints of a training save and model files do not;
  ///  - a module, or anything else that has `visit(Visitor&)`;
  ///  - a std::vector, std::array or other row of such members, whose names are name.0, name.1, ...;
  ///  - a std::optional, std::unique_ptr or std::shared_ptr to such a member, or to nothing. (Copies of a model share what a shared_ptr
  ///    points to.)
  ///
  /// Undefined parameters and tensors (the bias of a layer without one) and empty holders are skipped.
  template <class T> void operator()(std::string_view name, T& member) {
    static_assert(!std::is_const_v<T>, "visit names members that are const here: declare it `void visit(nn::Visitor& v) override`");
    if constexpr (std::derived_from<T, Module>) {
      visit_module(name, member);
    } else if constexpr (std::derived_from<T, Parameter>) {
      visit_parameter(name, member);
    } else if constexpr (std::derived_from<T, Tensor>) {
      visit_state(name, member);
    } else if constexpr (std::derived_from<T, Generator>) {
      const Level level(*this, name);
      generator(member);
    } else if constexpr (detail::HasVisit<T>) {
      const Level level(*this, name);
      member.visit(*this);
    } else if constexpr (detail::Holder<T>) {
      if (member) (*this)(name, *member);
    } else if constexpr (detail::Row<T>) {
      const Level level(*this, name);
      std::size_t i = 0;
      for (auto&& each : member) (*this)(i++, each);
    } else {
      static_assert(
          detail::kNever<T>,
          "visit names parameters, tensors, modules, generators, what has visit(Visitor&), and vectors, arrays, optionals and smart "
          "pointers of these");
    }
  }
  /// A member whose name is a number, as of the layers of a Sequential.
  template <class T> void operator()(std::size_t number, T& member) { (*this)(std::string_view(detail::Digits(number)), member); }

  /// The names from the outermost module to the member, with dots between them: "encoder.0.weight".
  std::string_view path() const { return path_; }

 protected:
  Visitor() = default;
  ~Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  virtual void parameter(Parameter&) {}
  virtual void state(Tensor&) {}
  virtual void generator(Generator&) {}
  virtual void module(Module& member);  // goes on into the module

 private:
  void visit_parameter(std::string_view name, Parameter& member);
  void visit_state(std::string_view name, Tensor& member);
  void visit_module(std::string_view name, Module& member);

  /// Appends a name to the path, for a scope.
  class Level {
   public:
    Level(Visitor& visitor, std::string_view name) : visitor_(visitor), length_(visitor.path_.size()) {
      if (length_ > 0) visitor.path_ += '.';
      visitor.path_ += name;
    }
    ~Level() { visitor_.path_.resize(length_); }  // NOLINT(bugprone-exception-escape): shrinking does not throw
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Visitor& visitor_;
    std::size_t length_;
  };

  std::basic_string<char, std::char_traits<char>, pool::Allocator<char>> path_;  // pooled: training walks its model at every step
};

namespace detail {
/// A type's name without its namespaces.
std::string type_name(const std::type_info& type);

/// Is told which modules ask for their mode; for `check` (nn/module/check.h).
class ModeObserver {
 public:
  virtual void asked(const Module& module) = 0;

 protected:
  ~ModeObserver() = default;
};
inline thread_local constinit ModeObserver* mode_observer = nullptr;
}  // namespace detail

/// A parameter and its name in the model.
struct NamedParameter {
  std::string name;  ///< the dotted path
  ParameterRef parameter;
};

/// A generator of random numbers that a module holds.
struct NamedGenerator {
  std::string name;      ///< the dotted path
  Generator* generator;  ///< of the module; valid as long as the module is and is not moved
};

/// The base of layers and models: a plain struct whose members are its parameters and layers, whose operator() is the forward pass and
/// whose `visit` names the members.
///
///     struct Net : nn::Module {
///       nn::Linear hidden{2, 8}, out{8, 1};
///       Tensor operator()(const Tensor& x) const { return out(tanh(hidden(x))); }
///       void visit(nn::Visitor& v) override { v("hidden", hidden); v("out", out); }
///     };
///
/// A copy of a module is a deep copy with parameters of its own. Assignment copies the values and leaves every parameter its identity,
/// so that `model = best` needs no new optimizer. What the compiler generates does both; there is nothing to write. (Members that share a
/// parameter do not share it in the copy: tie weights in operator().)
class Module {
 public:
  virtual ~Module() = default;

  /// Names every member that is a parameter, state or a module, as v("name", member), and does nothing else: it also serves const modules.
  /// Modules without parameters are no exception: a Dropout that is not named stays in training mode. `nn::check` finds what is forgotten.
  virtual void visit(Visitor& visitor) = 0;
  /// `visit` for a module that is const; only for visitors that change nothing.
  void inspect(Visitor& visitor) const { const_cast<Module*>(this)->visit(visitor); }

  /// What printing and errors call the module: "Linear(784, 128)". By default the type's name.
  virtual std::string label() const;

  /// All parameters in the order of `visit`. Each is given its dotted path as its name. The list refers to the
  /// parameters as a pointer would, also those of a const module. Allocates nothing from the heap after the first call.
  ParameterList parameters() const;
  std::vector<NamedParameter> named_parameters() const;
  /// The generators of the module's layers, dropout for example, in the order of `visit`.
  std::vector<NamedGenerator> generators();
  /// The number of elements of all parameters together.
  Index parameter_count() const;

  /// Training mode, which modules start in, or evaluation mode: for this module and all inside it. Layers such as dropout ask `training()`.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const {
    if (detail::mode_observer) [[unlikely]]
      detail::mode_observer->asked(*this);
    return training_;
  }
  /// Converts parameters and floating state to float32 or float64, without being recorded.
  void to(Dtype dtype);
  /// Freezes (or thaws) all parameters: frozen, they are constants to every tape, and optimizers skip them.
  void freeze(bool on = true);

 protected:  // a Module is copied as part of a whole one, never alone
  Module() = default;
  Module(const Module&) = default;
  /// Keeps the mode, which is how a module is used and not what it has learnt. (The best model may have been copied in evaluation mode.)
  Module& operator=(const Module&) { return *this; }

 private:
  struct SetMode;
  bool training_ = true;
};

/// The module and all modules inside it, a line each: path, label and parameter count.
std::string to_string(const Module& module);

/// A module without members.
class Stateless : public Module {
 public:
  void visit(Visitor&) override {}
};

}  // namespace wengert::nn
