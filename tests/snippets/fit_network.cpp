#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

int main() {
  Generator g(1);
  const Tensor x = g.normal({800, 2}),
               y = (sum(square(x), 1) > 1.4)
                       .to(int64);  // points outside a circle are class 1
  const nn::Split data =
      nn::split_examples(x, y, {.validation = 0.25, .generator = &g});
  nn::Sequential net(nn::Linear(2, 32, {}, g), nn::ReLU(), nn::Dropout(0.1, g),
                     nn::Linear(32, 2, {}, g));
  optim::Adam adam(net.parameters(), {.lr = 0.02});
  const nn::DataLoader loader(data.train,
                              {.batch_size = 32, .shuffle = true, .generator = &g});

  const nn::FitResult result =
      nn::fit(net, adam, nn::cross_entropy, loader,
              {.epochs = 20,
               .validation = data.validation,
               .metrics = {nn::Metric::accuracy()},
               .rate_of_epoch = optim::CosineSchedule{.lr = 0.02, .steps = 20},
               .best = {.value = "validation accuracy",
                        .larger_is_better = true,
                        .patience = 8},
               .progress = false,
               .log = "training.csv"});
  std::printf("validation accuracy above 0.95: %s\n",
              result.best_value > 0.95 ? "yes" : "no");
  std::remove("training.csv");
}
