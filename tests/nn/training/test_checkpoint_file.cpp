#include "nn/training/checkpoint.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "autodiff/io/safetensors.h"
#include "autodiff/ops.h"
#include "nn/layers/basic.h"
#include "nn/layers/normalization.h"
#include "nn/losses.h"
#include "nn/module/state.h"
#include "nn/training/crc32c.h"
#include "nn/training/history.h"
#include "optim/adam.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "optim/weight_average.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;

using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

struct Net : nn::Module {
  explicit Net(std::uint64_t seed, Index width = 4) : Net(Generator(seed), width) {}
  Tensor operator()(const Tensor& x) { return out(dropout(norm(hidden(x)))); }
  void visit(nn::Visitor& v) override {
    v("hidden", hidden);
    v("norm", norm);
    v("dropout", dropout);
    v("out", out);
  }

  nn::Linear hidden;
  nn::BatchNorm1d norm;
  nn::Dropout dropout;
  nn::Linear out;

 private:
  Net(Generator g, Index width) : hidden(2, width, {}, g), norm(width), dropout(0.5, g), out(width, 1, {}, g) {}
};

// A training by hand, with one part of each kind.
struct Run {
  explicit Run(std::uint64_t seed) : net(seed), adam(net.parameters(), {.lr = 0.01}), average(net.parameters()), noise(seed) {}

  void steps(int n) {
    for (int i = 0; i < n; ++i) {
      const Tensor x = noise.normal({8, 2});
      Tape tape;
      const Tensor loss = nn::mse(net(x), sum(x, 1, {.keepdim = true}));
      adam.step(tape.gradient(loss, net.parameters()));
      average.update();
      adam.set_learning_rate(plateau(loss.item()));
      history.add({{"loss", loss.item()}});
      ++step;
      best = std::min(best, loss.item());
      last = x;
    }
  }
  void name_parts(nn::Checkpoint& c) {
    c("net", net)("adam", adam)("average", average)("plateau", plateau)("noise", noise)("history", history);
    c("step", step)("best", best)("last", last)("flag", flag);
  }

  Net net;
  optim::Adam adam;
  optim::EMA average;
  optim::PlateauSchedule plateau{0.01, {.patience = 1}};
  Generator noise;
  nn::History history;
  Index step = 0;
  double best = 1e9;
  Tensor last = Tensor::zeros({8, 2});
  bool flag = false;
};

std::string saved(const Run& run, const TemporaryFolder& folder) {
  Run copy_of_nothing(0);
  nn::Checkpoint c(folder.path("compare"));
  const_cast<Run&>(run).name_parts(c);
  c.save();
  return folder.read("compare");
}

}  // namespace

BOOST_AUTO_TEST_CASE(known_checksums) {
  // RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
  BOOST_TEST(nn::crc32c("123456789") == 0xe3069283u);
  BOOST_TEST(nn::crc32c(std::string(32, '\0')) == 0x8a9136aau);
  BOOST_TEST(nn::crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
  BOOST_TEST(nn::crc32c("") == 0u);
  BOOST_TEST(nn::crc32c("456789", nn::crc32c("123")) == 0xe3069283u);
}

BOOST_AUTO_TEST_CASE(a_resumed_training_goes_on_with_the_same_bits) {
  const TemporaryFolder folder;
  Run whole(1);
  whole.flag = true;
  whole.steps(5);
  {
    nn::Checkpoint c(folder.path("run"));
    whole.name_parts(c);
    c.save();
  }
  whole.steps(5);

  Run resumed(2);
  nn::Checkpoint c(folder.path("run"));
  resumed.name_parts(c);
  BOOST_TEST(c.resume());
  BOOST_TEST(resumed.step == 5);
  BOOST_TEST(resumed.flag);
  resumed.steps(5);
  BOOST_TEST((saved(whole, folder) == saved(resumed, folder)));
}

BOOST_AUTO_TEST_CASE(without_a_file_nothing_is_done) {
  const TemporaryFolder folder;
  Run run(1);
  nn::Checkpoint c(folder.path("run"));
  run.name_parts(c);
  BOOST_TEST(!c.exists());
  BOOST_TEST(!c.resume());
}

BOOST_AUTO_TEST_CASE(older_files_are_kept) {
  const TemporaryFolder folder;
  Index step = 0;
  nn::Checkpoint c(folder.path("run"), {.keep = 3});
  c("step", step);
  for (step = 1; step <= 5; ++step) c.save();
  BOOST_TEST(folder.count() == 3u);
  for (const auto& [name, expected] : {std::pair("run", 5), std::pair("run.1", 4), std::pair("run.2", 3)}) {
    nn::Checkpoint old(folder.path(name));
    Index value = 0;
    old("step", value);
    BOOST_TEST(old.resume());
    BOOST_TEST(value == expected);
  }
}

BOOST_AUTO_TEST_CASE(what_a_killed_writer_left_is_removed) {
  const TemporaryFolder folder;
  folder.write(".wengert-1-0.tmp", "half a file");
  const nn::Checkpoint c(folder.path("run"));
  BOOST_TEST(folder.count() == 0u);
}

BOOST_AUTO_TEST_CASE(truncated_and_altered_files_are_refused_and_nothing_changes) {
  const TemporaryFolder folder;
  Run run(1);
  run.steps(2);
  {
    nn::Checkpoint c(folder.path("run"));
    run.name_parts(c);
    c.save();
  }
  const std::string good = folder.read("run");
  Run other(3);
  const std::string before = saved(other, folder);
  nn::Checkpoint c(folder.path("bad"));
  other.name_parts(c);
  const auto check_refused = [&](const std::string& bytes) {
    folder.write("bad", bytes);
    const std::string message = message_of<DataError>([&] { c.resume(); });
    BOOST_TEST(contains(message, folder.path("bad")));
    return message;
  };
  for (std::size_t size = 0; size < good.size(); size += 37) check_refused(good.substr(0, size));
  std::size_t refused = 0;
  for (std::size_t at = 0; at < good.size(); at += 11) {
    std::string altered = good;
    altered[at] = static_cast<char>(altered[at] ^ 0x10);
    if (!check_refused(altered).empty()) ++refused;
  }
  BOOST_TEST(refused == (good.size() + 10) / 11);
  std::string in_the_data = good;
  in_the_data.back() = static_cast<char>(in_the_data.back() ^ 1);
  check_refused(good + "x");
  BOOST_TEST((saved(other, folder) == before));
  folder.write("bad", good);
  BOOST_TEST(c.resume());
}

BOOST_AUTO_TEST_CASE(an_altered_number_is_found_by_the_checksum) {
  const TemporaryFolder folder;
  Tensor weights = Tensor::full({100}, 1);
  nn::Checkpoint c(folder.path("run"));
  c("weights", weights);
  c.save();
  std::string bytes = folder.read("run");
  bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1);
  folder.write("run", bytes);
  const std::string message = message_of<DataError>([&] { c.resume(); });
  BOOST_TEST(contains(message, "has been altered"));
  BOOST_TEST(weights.element(99) == 1);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_training_is_refused_by_name) {
  const TemporaryFolder folder;
  Net net(1);
  optim::Adam adam(net.parameters());
  Index epoch = 7;
  nn::Checkpoint c(folder.path("run"));
  c("net", net)("adam", adam)("epoch", epoch);
  c.save();

  const auto refused = [&](auto& model, auto& optimizer) {
    Index own_epoch = 3;
    const double weight = model.hidden.weight.value().element(0);
    nn::Checkpoint other(folder.path("run"));
    other("epoch", own_epoch)("net", model)("adam", optimizer);  // epoch is loaded first, and given back
    const std::string message = message_of<DataError>([&] { other.resume(); });
    BOOST_TEST(own_epoch == 3);
    BOOST_TEST(model.hidden.weight.value().element(0) == weight);
    return message;
  };
  Net wide(2, 5), same(2);
  optim::Adam adam_of_wide(wide.parameters());
  optim::AdamW adamw(same.parameters());
  const std::string wrong_model = refused(wide, adam_of_wide), wrong_optimizer = refused(same, adamw);
  BOOST_TEST(contains(wrong_model, folder.path("run") + ", net: does not fit Net: wrong shape hidden.weight"));
  BOOST_TEST(contains(wrong_optimizer, folder.path("run") + ", adam: this is not the state of AdamW"));

  nn::Checkpoint fewer(folder.path("run")), more(folder.path("run"));
  Index number = 0;
  fewer("net", net);
  BOOST_TEST(contains(message_of<DataError>([&] { fewer.resume(); }), "it has the part \"adam\""));
  more("net", net)("adam", adam)("epoch", epoch)("number", number);
  BOOST_TEST(contains(message_of<DataError>([&] { more.resume(); }), "run, number: a single tensor is needed"));

  net.to(float64);
  nn::Checkpoint precise(folder.path("run"));
  precise("net", net)("adam", adam)("epoch", epoch);
  BOOST_TEST(contains(message_of<DataError>([&] { precise.resume(); }), "float32 where the model has float64"));
}

BOOST_AUTO_TEST_CASE(other_files_are_refused) {
  const TemporaryFolder folder;
  Net net(1);
  nn::save(net, folder.path("model"));
  nn::Checkpoint c(folder.path("model"));
  c("net", net);
  BOOST_TEST(contains(message_of<DataError>([&] { c.resume(); }), "this is not a checkpoint"));
}

BOOST_AUTO_TEST_CASE(names_and_options_are_checked) {
  Index n = 0;
  Tensor undefined;
  nn::Checkpoint c("never written");
  c("n", n);
  BOOST_CHECK_THROW(c("n", n), ValueError);
  BOOST_CHECK_THROW(c("", n), ValueError);
  BOOST_CHECK_THROW(c("a/b", n), ValueError);
  BOOST_CHECK_THROW(c("t", undefined), ValueError);
  BOOST_CHECK_THROW(nn::Checkpoint(""), ValueError);
  BOOST_CHECK_THROW(nn::Checkpoint("x", {.keep = 0}), ValueError);
  BOOST_TEST(contains(message_of<DataError>([] { nn::Checkpoint("no/such/folder/run").save(); }), "no/such/folder/run"));
}

BOOST_AUTO_TEST_CASE(a_number_must_fit_its_type) {
  const TemporaryFolder folder;
  Index large = 300;
  signed char small = 1;
  nn::Checkpoint c(folder.path("run")), other(folder.path("run"));
  c("n", large);
  c.save();
  other("n", small);
  BOOST_TEST(contains(message_of<DataError>([&] { other.resume(); }), "300 is out of the range"));
  BOOST_TEST(small == 1);
}
