#pragma once
// What models are made of: modules, and the visitors that walk them.
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

class Module;
template <class M> concept ModuleType = std::derived_from<M, Module>;

/// Walks the members that a module names in its `visit`. A visitor overrides what it is interested in, and asks `path()` where it is.
class Visitor {
 public:
  /// @name For `visit`: each names one member
  /// An undefined parameter or tensor (of a layer without bias) is passed over.
  /// @{
  void operator()(std::string_view name, Parameter& member) {
    if (!member.ref().get()) return;
    const Level level(*this, name);
    parameter(member);
  }
  /// Running statistics and the like: they belong to the module's state, and nobody trains them.
  void operator()(std::string_view name, Tensor& member) {
    if (!member.defined()) return;
    const Level level(*this, name);
    state(member);
  }
  void operator()(std::string_view name, Module& member) {
    const Level level(*this, name);
    module(member);
  }
  /// A list of modules: name.0, name.1, ...
  template <ModuleType M> void operator()(std::string_view name, std::vector<M>& members) {
    const Level level(*this, name);
    for (std::size_t i = 0; i < members.size(); ++i) (*this)(i, members[i]);
  }
  /// A module that has a number for its name, as the layers of a Sequential do.
  void operator()(std::size_t number, Module& member);
  /// @}

  /// The names from the outermost module to the member, with dots between them: "encoder.0.weight".
  std::string_view path() const { return path_; }

 protected:
  Visitor() = default;
  ~Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  virtual void parameter(Parameter&) {}
  virtual void state(Tensor&) {}
  virtual void module(Module& member);  // goes on into the module

 private:
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
}  // namespace detail

struct NamedParameter {
  std::string name;  ///< the dotted path
  ParameterRef parameter;
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

  /// Names every member that holds parameters or state, as v("name", member), and does nothing else: it also serves const modules.
  virtual void visit(Visitor& visitor) = 0;
  /// `visit` for a module that is const; only for visitors that change nothing.
  void inspect(Visitor& visitor) const { const_cast<Module*>(this)->visit(visitor); }

  /// How printing and errors speak of the module: "Linear(784, 128)". The type's name, unless a module knows better.
  virtual std::string label() const;

  /// All parameters in the order of `visit`. Each is given its dotted path as its name. A const module has them too: the list refers to
  /// them as a pointer would. Takes no memory from the heap after the first call.
  ParameterList parameters() const;
  std::vector<NamedParameter> named_parameters() const;
  /// How many numbers the parameters hold together.
  Index parameter_count() const;

  /// Training mode, which modules start in, or evaluation mode: for this module and all inside it. Layers such as dropout ask `training()`.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  /// Converts parameters and floating state to float32 or float64, without being recorded.
  void to(Dtype dtype);
  /// Freezes (or thaws) all parameters: frozen, they are constants to every tape, and optimizers pass them over.
  void freeze(bool on = true);

 protected:  // a Module is copied as part of a whole one, never alone
  Module() = default;
  Module(const Module&) = default;
  /// The mode stays: it says how a module is used, not what it has learnt. (The best model may have been kept while it was evaluated.)
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
