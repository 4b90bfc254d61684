// The example programs, run as a user runs them. WENGERT_EXAMPLES is their folder.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/temporary_folder.h"

using wengert::testing::CommandResult;
using wengert::testing::TemporaryFolder;

namespace {

CommandResult run(const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(WENGERT_EXAMPLES) + "/" + program);
  return wengert::testing::run_command(arguments);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Checks for status 2 and one line on stderr, which names the program and contains all parts, but no internals of the library.
void check_refused(const CommandResult& result, const std::string& program, const std::vector<std::string>& parts) {
  BOOST_TEST(result.status == 2);
  BOOST_TEST(result.error_lines() == 1U);
  BOOST_TEST(result.err.starts_with(program + ": "), result.err);
  for (const std::string& part : parts) BOOST_TEST(contains(result.err, part), "\"" << part << "\" is not in: " << result.err);
}

// ---- generated data --------------------------------------------------------------------------------------------------------------

// IDX: two zeros, 8 for bytes, the rank, sizes of four bytes each, the elements.
std::string idx(const std::vector<unsigned>& sizes, const std::string& elements) {
  std::string bytes{'\0', '\0', '\x08', static_cast<char>(sizes.size())};
  for (const unsigned size : sizes)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift & 0xff);
  return bytes + elements;
}

constexpr unsigned kClasses = 3;

// Images in which row `label` is white, with some gray that differs from image to image.
void write_images(const TemporaryFolder& folder, const std::string& part, unsigned n, unsigned side) {
  std::string images, labels;
  for (unsigned i = 0; i < n; ++i) {
    const unsigned label = i * 7 % kClasses;
    labels += static_cast<char>(label);
    for (unsigned pixel = 0; pixel < side * side; ++pixel) images += static_cast<char>(pixel / side == label ? 255 : i * 13 % 50);
  }
  folder.write(part + "-images-idx3-ubyte", idx({n, side, side}, images));
  folder.write(part + "-labels-idx1-ubyte", idx({n}, labels));
}

void write_image_dataset(const TemporaryFolder& folder, unsigned side = 4) {
  write_images(folder, "train", 120, side);
  write_images(folder, "t10k", 30, side);
}

// Records of CIFAR-10: noise in a colour that depends on the class.
std::string colour_images(unsigned n) {
  constexpr unsigned kPlane = 32 * 32;
  std::string bytes;
  for (unsigned i = 0; i < n; ++i) {
    const unsigned label = i % 10;
    bytes += static_cast<char>(label);
    for (unsigned channel = 0; channel < 3; ++channel)
      for (unsigned pixel = 0; pixel < kPlane; ++pixel)
        bytes += static_cast<char>((label * (channel + 3) * 23 + (i * 31 + pixel * 17) % 20) % 256);
  }
  return bytes;
}

// Reviews, one per line, whose label depends on which of two words they contain.
void write_reviews(const TemporaryFolder& folder, int n) {
  const char* filler[] = {"the", "film", "was", "long", "and", "we", "saw", "it", "twice"};
  std::string reviews, labels;
  for (int i = 0; i < n; ++i) {
    const bool good = i * 7 % 3 == 0;
    for (int word = 0; word < 5 + i % 7; ++word)
      reviews += std::string(filler[(i * 5 + word * word) % 9]) + (word == i % 4 ? good ? " lovely " : " dreadful " : " ");
    reviews += "\n";
    labels += good ? "positive\n" : "negative\n";
  }
  folder.write("reviews.txt", reviews);
  folder.write("labels.txt", labels);
}

// The number behind the text that a line of the output begins with.
double number_behind(const CommandResult& result, const std::string& text) {
  const std::vector<std::string> lines = result.lines(text);
  BOOST_REQUIRE_MESSAGE(lines.size() == 1U, "one line \"" << text << "\" in: " << result.out << result.err);
  return std::stod(lines[0].substr(text.size()));
}

// Passengers; all women survived, and no men.
std::string passengers(int n, bool labelled) {
  std::string text = labelled ? "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Fare,Embarked\n"
                              : "PassengerId,Pclass,Name,Sex,Age,SibSp,Parch,Fare,Embarked\n";
  for (int i = 0; i < n; ++i) {
    const bool woman = i % 3 == 0;
    text += std::to_string(i) + (labelled ? woman ? ",1" : ",0" : "") + "," + std::to_string(i % 3 + 1) + ",\"Doe, J.\"," +
            (woman ? "female," : "male,") + (i % 5 ? std::to_string(20 + i % 40) : "") + ",0," + std::to_string(i % 2) + "," +
            std::to_string(7 + i % 11) + ".5," + "CQS"[i % 3] + "\n";
  }
  return text;
}

// The path of a file of the shared reference data; empty if it is missing, with a message that the test is skipped.
std::string reference_data(const std::string& file) {
  const char* folder = std::getenv("WENGERT_REFERENCE_DATA");
  const std::string path = folder ? std::string(folder) + "/data/workshop/" + file : "";
  if (path.empty() || !std::filesystem::exists(path)) {
    BOOST_TEST_MESSAGE("skipped: WENGERT_REFERENCE_DATA has no " << file);
    return {};
  }
  return path;
}

}  // namespace

// ---- all -------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(help_lists_the_options) {
  for (const auto& [program, option] : {std::pair{"collision", "--nodes"},
                                        {"mlp", "--data"},
                                        {"mnist_cnn", "--quick"},
                                        {"projectile", "--problems"},
                                        {"regression", "--report-every"},
                                        {"rgb_cnn", "--data"},
                                        {"sentiment", "--words"},
                                        {"sonnets", "--text"},
                                        {"titanic", "--predictions"},
                                        {"unrolled_rnn", "--steps"}}) {
    const CommandResult help = run(program, {"--help"});
    BOOST_TEST(help.status == 0);
    BOOST_TEST(contains(help.out, option));
    BOOST_TEST(help.err.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_wrong_command_line_is_one_line) {
  check_refused(run("regression", {"--rte", "1"}), "regression", {"--rte", "--help"});
  check_refused(run("regression", {"--activation", "relu"}), "regression", {"relu", "identity"});
  check_refused(run("regression", {"--csv", "a.csv"}), "regression", {"--x", "--y"});
  check_refused(run("titanic", {}), "titanic", {"--train"});
  for (const char* rate : {"0", "-1", "nan", "inf", "fast", "1e999", "0.1x"})
    check_refused(run("regression", {"--rate", rate}), "regression", {"--rate", std::string("\"") + rate + "\"", "number above 0"});
  for (const char* epochs : {"0", "-3", "1.5", "99999999999"}) check_refused(run("mlp", {"--epochs", epochs}), "mlp", {"--epochs"});
}

// ---- regression ------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(an_output_that_cannot_be_written) {
  const auto with = [](const std::string& redirections, const std::string& argument) {
    return wengert::testing::run_command(
        {"sh", "-c", "exec \"$0\" " + argument + ' ' + redirections, std::string(WENGERT_EXAMPLES) + "/regression"});
  };
  for (const char* argument : {"--quick", "--help"}) {
    check_refused(with(">/dev/full", argument), "regression", {"the standard output"});
    BOOST_TEST(with(">/dev/full 2>/dev/full", argument).status == 2);
    BOOST_TEST(with(">&- 2>&-", argument).status == 2);
  }
}

BOOST_AUTO_TEST_CASE(a_line_through_iris) {
  const CommandResult result = run("regression", {"--epochs", "2001", "--report-every", "200"});
  BOOST_TEST(result.status == 0);
  BOOST_TEST(result.err.empty());
  const std::vector<std::string> reports = result.lines("epoch ");
  BOOST_REQUIRE(reports.size() == 11U);
  BOOST_TEST(reports[0].starts_with("epoch 0 SSE 7.036405334288"));
  BOOST_TEST(reports[10].starts_with("epoch 2000 SSE 3.15504818962449 w 0.41575541"));  // the line of least squares
  BOOST_TEST(contains(reports[10], " b -0.3630755"));
  BOOST_TEST(result.lines("dE/dw").size() == 1U);
  BOOST_TEST(result.lines("The three agree.").size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_sigmoid_on_iris) {
  const CommandResult result = run("regression", {"--activation", "sigmoid", "--scale", "x", "--rate", "5"});
  BOOST_TEST(result.status == 0);
  BOOST_TEST(contains(result.out, "petal_length -> species=setosa"));
  BOOST_TEST(result.lines("The three agree.").size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_perceptron_is_explained_and_trained_by_its_rule) {
  const CommandResult result = run("regression", {"--activation", "step"});
  BOOST_TEST(result.status == 0);
  BOOST_TEST(contains(result.out, "its slope is 0 everywhere"));
  BOOST_TEST(contains(result.out, "dE/dw = 0 and dE/db = 0"));
  BOOST_TEST(contains(result.out, "perceptron rule"));
  BOOST_TEST(result.lines("150 of 150 records on the right side").size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_plot_comes_with_its_data_and_script) {
  const TemporaryFolder folder;
  BOOST_TEST(run("regression", {"--quick", "--plot", folder.path("a/b/node.png")}).status == 0);
  BOOST_TEST(folder.has("a/b/node.csv"));
  BOOST_TEST(folder.has("a/b/node.gp"));
}

BOOST_AUTO_TEST_CASE(bad_tables_are_refused) {
  const TemporaryFolder data, output;
  const auto refused = [&](const std::vector<std::string>& arguments, const std::vector<std::string>& parts) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--plot", output.path("node.png")});
    check_refused(run("regression", all), "regression", parts);
    BOOST_TEST(output.count() == 0U);
  };
  const std::string good = data.write("good.csv", "a,b\n1,2\n2,3\n");
  refused({"--csv", good, "--x", "c", "--y", "b"}, {"good.csv", "\"c\"", "\"a\""});
  refused({"--csv", good, "--x", "a", "--y", "b=high"}, {"good.csv", "\"b\"", "\"high\""});
  refused({"--csv", data.write("text.csv", "a,b\n1,2\nx,3\n"), "--x", "a", "--y", "b"}, {"text.csv, line 3, column \"a\"", "\"x\""});
  refused({"--csv", data.write("nan.csv", "a,b\n1,2\n2,nan\n"), "--x", "a", "--y", "b"}, {"nan.csv, line 3, column \"b\"", "nan"});
  refused({"--csv", data.write("hole.csv", "a,b\n1,2\n,3\n"), "--x", "a", "--y", "b"}, {"hole.csv, line 3, column \"a\"", "missing"});
  refused({"--csv", data.write("ragged.csv", "a,b\n1,2\n3\n"), "--x", "a", "--y", "b"}, {"ragged.csv, line 3"});
  refused({"--csv", data.write("empty.csv", ""), "--x", "a", "--y", "b"}, {"empty.csv"});
  refused({"--csv", data.write("header.csv", "a,b\n"), "--x", "a", "--y", "b"}, {"header.csv"});
  refused({"--csv", data.write("flat.csv", "a,b\n1,2\n1,3\n"), "--x", "a", "--y", "b", "--scale", "x"}, {"flat.csv", "\"a\""});
  refused({"--csv", data.path("none.csv"), "--x", "a", "--y", "b"}, {"none.csv"});
  refused({"--csv", data.path(""), "--x", "a", "--y", "b"}, {"directory"});
}

BOOST_AUTO_TEST_CASE(an_output_that_cannot_be_written_is_refused_before_training) {
  const TemporaryFolder folder;
  const std::string file = folder.write("file", "");
  for (const std::string& plot : {file + "/node.png", folder.path("node.jpg"), folder.path("node")}) {
    const CommandResult result = run("regression", {"--plot", plot});
    check_refused(result, "regression", {plot.ends_with(".png") ? "file" : "must be called NAME.png"});
    BOOST_TEST(result.out.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_rate_that_is_too_large_is_said) {
  check_refused(run("regression", {"--rate", "100"}), "regression", {"epoch ", "--rate"});
}

BOOST_AUTO_TEST_CASE(the_workshops_logistic_regression_to_twelve_digits) {
  const std::string csv = reference_data("advertising.csv");
  if (csv.empty()) return;
  const CommandResult result = run("regression", {"--csv", csv, "--x", "Daily Internet Usage", "--y", "Clicked on Ad", "--activation",
                                                  "sigmoid", "--scale", "x", "--rate", "5", "--epochs", "2001", "--report-every", "200"});
  BOOST_TEST(result.status == 0);
  const std::vector<std::string> reports = result.lines("epoch ");
  BOOST_REQUIRE(reports.size() == 11U);
  const auto check = [](const std::string& report, const char* sse, const char* w, const char* b) {
    for (const std::string& number : {std::string(" SSE ") + sse, std::string(" w ") + w, std::string(" b ") + b})
      BOOST_TEST(contains(report, number), number << " is not in: " << report);
  };
  check(reports[0], "121.740439804", "-0.130591021915", "0");
  check(reports[5], "40.6768229724", "-10.4119659773", "4.62057689428");
  check(reports[10], "40.1561554035", "-11.8427649724", "5.25260019748");
}

// ---- mlp -------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_network_learns_tiny_images) {
  const TemporaryFolder data, output;
  write_image_dataset(data);
  const CommandResult result =
      run("mlp", {"--data", data.path(""), "--epochs", "1", "--batch", "8", "--limit", "100", "--output", output.path("new")});
  BOOST_TEST(result.status == 0);
  BOOST_TEST(contains(result.out, "100 training and 30 test images"));
  BOOST_TEST(result.lines("epoch 1: train loss").size() == 1U);
  BOOST_TEST(result.lines("true \\ predicted").size() == 1U);
  BOOST_TEST(result.lines("test accuracy ").size() == 1U);
  BOOST_TEST(output.has("new/mlp-training.csv"));
  BOOST_TEST(output.has("new/mlp-mistakes.png") == !contains(result.out, "test accuracy 1.0000"));
}

BOOST_AUTO_TEST_CASE(bad_images_are_refused) {
  const TemporaryFolder data, output;
  const auto refused = [&](const std::vector<std::string>& parts) {
    check_refused(run("mlp", {"--data", data.path(""), "--epochs", "1", "--output", output.path("new")}), "mlp", parts);
    BOOST_TEST(output.count() == 0U);
  };
  refused({"train-images-idx3-ubyte"});  // nothing there
  write_image_dataset(data);
  const std::string whole = data.read("t10k-images-idx3-ubyte");
  data.write("t10k-images-idx3-ubyte", whole.substr(0, whole.size() / 2));
  refused({"t10k-images-idx3-ubyte"});
  data.write("t10k-images-idx3-ubyte", "GIF89a" + whole);
  refused({"t10k-images-idx3-ubyte"});
  std::filesystem::remove(data.path("t10k-images-idx3-ubyte"));
  const std::string begun{'\x1f', '\x8b', '\x08', '\0', '\0', '\0', '\0', '\0', '\0', '\x03', '\x63', '\x60'};
  data.write("t10k-images-idx3-ubyte.gz", begun);
  refused({"t10k-images-idx3-ubyte.gz"});
}

BOOST_AUTO_TEST_CASE(a_network_that_diverges_says_so) {
  const TemporaryFolder data;
  write_image_dataset(data);
  check_refused(run("mlp", {"--data", data.path(""), "--rate", "1e30", "--limit", "60", "--batch", "20", "--output", data.path("")}), "mlp",
                {});
}

// ---- titanic ---------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(passengers_in_small) {
  const TemporaryFolder folder;
  const std::string train = folder.write("train.csv", passengers(60, true)), test = folder.write("test.csv", passengers(12, false));
  const CommandResult result = run("titanic", {"--train", train, "--test", test, "--quick", "--predictions", folder.path("new/said.csv")});
  BOOST_TEST(result.status == 0);
  BOOST_TEST(result.lines("median of 2 seeds").size() == 1U);
  const std::string said = folder.read("new/said.csv");
  BOOST_TEST(said.starts_with("PassengerId,Survived\n0,1\n1,0\n2,0\n3,1\n"), said);
}

BOOST_AUTO_TEST_CASE(bad_passengers_are_refused) {
  const TemporaryFolder folder;
  const std::string train = folder.write("train.csv", passengers(60, true)), test = folder.write("test.csv", passengers(12, false));
  check_refused(run("titanic", {"--train", test, "--test", test}), "titanic", {"test.csv", "\"Survived\""});
  std::string robot = passengers(12, false);
  robot.replace(robot.find("female"), 6, "robot");
  check_refused(run("titanic", {"--train", train, "--test", folder.write("robot.csv", robot)}), "titanic",
                {"robot.csv", "\"Sex\"", "\"robot\""});
  check_refused(run("titanic", {"--train", train, "--test", test, "--predictions", train + "/said.csv"}), "titanic", {"train.csv"});
  check_refused(run("titanic", {"--train", train, "--test", test, "--predictions", folder.path("said.txt")}), "titanic",
                {"must be called NAME.csv"});
}

BOOST_AUTO_TEST_CASE(ten_networks_on_the_passenger_list) {
  const std::string train = reference_data("titanic_train.csv"), test = reference_data("titanic_test.csv");
  if (train.empty() || test.empty()) return;
  const CommandResult result = run("titanic", {"--train", train, "--test", test});
  BOOST_TEST(result.status == 0);
  const std::vector<std::string> medians = result.lines("median of 10 seeds");
  BOOST_REQUIRE(medians.size() == 1U);
  BOOST_TEST(std::stod(medians[0].substr(medians[0].find("validation ") + 11)) <= 0.129);
}

// ---- the larger models, in small -------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_convolutional_network_learns_small_images) {
  const TemporaryFolder data, output;
  write_image_dataset(data, 16);
  const CommandResult result = run("mnist_cnn", {"--data", data.path(""), "--epochs", "8", "--batch", "8", "--output", output.path("")});
  BOOST_TEST(number_behind(result, "test accuracy ") > 0.9);
  for (const char* file : {"mnist_cnn-training.csv", "mnist_cnn-filters.png", "mnist_cnn-activations.png", "mnist_cnn.safetensors"})
    BOOST_TEST(output.has(file), file);
  BOOST_TEST(run("mnist_cnn", {"--data", data.path(""), "--quick", "--output", output.path("")}).status == 0);
  const TemporaryFolder tiny;
  write_image_dataset(tiny);
  check_refused(run("mnist_cnn", {"--data", tiny.path(""), "--output", output.path("")}), "mnist_cnn", {"4 x 4", "16 x 16"});
}

// In this process alone; tests/distributed has several.
BOOST_AUTO_TEST_CASE(a_training_whose_batches_are_cut_into_blocks) {
  const TemporaryFolder data, output;
  write_image_dataset(data, 16);
  const CommandResult result =
      run("mnist_cnn", {"--data", data.path(""), "--epochs", "8", "--batch", "8", "--blocks", "2", "--output", output.path("")});
  BOOST_TEST(number_behind(result, "test accuracy ") > 0.9);
  BOOST_TEST(number_behind(result, "ranks 1, blocks a step 2: train loss ") < 0.5);
  check_refused(run("mnist_cnn", {"--mpi"}), "mnist_cnn", {"--mpi", "--blocks 8"});
  check_refused(run("mnist_cnn", {"--blocks", "3", "--batch", "128"}), "mnist_cnn", {"--blocks", "128", "3 equal blocks"});
}

BOOST_AUTO_TEST_CASE(a_network_for_colour_images_runs) {
  const TemporaryFolder data, output;
  data.write("data_batch_1.bin", colour_images(128));
  data.write("test_batch.bin", colour_images(20));
  const CommandResult result = run("rgb_cnn", {"--data", data.path(""), "--quick", "--batch", "32", "--output", output.path("")});
  BOOST_TEST(number_behind(result, "test accuracy ") >= 0);
  BOOST_TEST(output.has("rgb_cnn.safetensors"));
  check_refused(run("rgb_cnn", {"--data", output.path("")}), "rgb_cnn", {"test_batch.bin"});
}

BOOST_AUTO_TEST_CASE(characters_are_learnt_and_written) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 600; ++i) text += i % 3 ? "To be or not " : "Or not to be\n";
  const CommandResult result =
      run("sonnets", {"--text", folder.write("text.txt", text), "--quick", "--epochs", "3", "--output", folder.path("")});
  BOOST_TEST(number_behind(result, "training loss ") < 3);
  for (const char* heading : {"-- it reads", "-- and goes on", "-- by probability", "-- at temperature"})
    BOOST_TEST(result.lines(heading).size() == 1U, heading);
  check_refused(run("sonnets", {"--text", folder.write("short.txt", "Short."), "--output", folder.path("")}), "sonnets", {"window"});
  check_refused(run("sonnets", {"--text", folder.path("none.txt")}), "sonnets", {"none.txt"});
}

BOOST_AUTO_TEST_CASE(praise_and_complaint_are_told_apart) {
  const TemporaryFolder folder;
  write_reviews(folder, 500);
  const CommandResult result = run(
      "sentiment", {"--data", folder.path(""), "--quick", "--epochs", "6", "--batch", "16", "--rate", "0.01", "--output", folder.path("")});
  BOOST_TEST(number_behind(result, "test accuracy ") > 0.9);
  folder.write("labels.txt", "positive\nfine\n");
  check_refused(run("sentiment", {"--data", folder.path("")}), "sentiment", {"labels.txt"});
}

BOOST_AUTO_TEST_CASE(physics_in_small) {
  const TemporaryFolder output;
  const CommandResult collision = run("collision", {"--quick", "--output", output.path("")});
  BOOST_TEST(number_behind(collision, "test accuracy of characters ") > 0.2);
  BOOST_TEST(collision.lines("question").size() == 1U);
  const CommandResult projectile = run("projectile", {"--quick", "--output", output.path("")});
  BOOST_TEST(number_behind(projectile, "test accuracy ") > 0.7);
  BOOST_TEST(output.has("projectile-flights.csv"));
}

BOOST_AUTO_TEST_CASE(gradients_vanish_and_explode) {
  const TemporaryFolder output;
  const CommandResult result = run("unrolled_rnn", {"--quick", "--output", output.path("")});
  BOOST_TEST(number_behind(result, "test loss ") < 1.0 / 6);
  const auto norm_at_the_start = [&](const std::string& name) {
    const std::vector<std::string> lines = result.lines(name);
    BOOST_REQUIRE(lines.size() == 1U);
    return std::stod(lines[0].substr(lines[0].rfind(' ')));
  };
  BOOST_TEST(norm_at_the_start("untrained, |eigenvalue| 0.5") < 1e-20);
  BOOST_TEST(norm_at_the_start("untrained, |eigenvalue| 1.5") > 1e-3);
}
