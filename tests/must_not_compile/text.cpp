// Views into a text that ends before they do (`run` says how to read this file).
#include <nn/nn.h>

#include <string>
using namespace wengert;

void views(const std::string& text) {
  const std::string lower = nn::lower_case(text);
#ifdef WRONG_words  // error: views into a temporary text
  nn::words(nn::lower_case(text));
#else
  nn::words(lower);
#endif
#ifdef WRONG_characters  // error: views into a temporary text
  nn::characters(text + "!");
#else
  nn::characters(lower);
#endif
  nn::words("a literal stays");
  nn::characters("a literal stays");
}
