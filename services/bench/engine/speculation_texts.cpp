#include "services/bench/engine/speculation_bench.hpp"

namespace troupe::bench {

const std::vector<DraftTexts>& draft_texts() {
  static const std::vector<DraftTexts> kTexts = {
      {"copy-edit",
       0,
       {"Repeat the following text exactly, but write \"automobile\" instead of \"car\":\n\nThe car stood in "
        "the yard behind the house. "
        "Every morning the old man washed the car, dried it with a soft cloth and looked at it for a while. "
        "The neighbours said that he "
        "loved the car more than his garden, and his garden was the most beautiful one in the street. When "
        "winter came he covered the car "
        "with a blanket and waited for the first warm day of spring.",
        "Correct the spelling of this text and change nothing else:\n\nLast sumer we went to the lake with "
        "our freinds. The water was very "
        "clear and we could see the fish between the stones. In the evening we made a fire, cooked soup and "
        "told each other storys until "
        "the stars came out. On the last day it rained, so we packed our tents early and drove home through "
        "the mountains.",
        "Rewrite this list with every line starting with a dash, and keep the words:\n\n* two eggs and a cup "
        "of flour\n* a spoon of sugar\n"
        "* a cup of milk\n* a little salt\n* butter for the pan\n* apple sauce to serve with it"}},
      {"code",
       0,
       {"Rename the variable total to sum in this Python code and print the whole code "
        "again:\n\n```python\ndef average(values):\n    total = 0\n"
        "    for value in values:\n        total = total + value\n    if len(values) == 0:\n        return "
        "0\n    return total / len(values)\n```",
        "Write a Python class for a bank account with the methods deposit, withdraw and balance, and a short "
        "example.",
        "Write a C function that reverses a string in place, one that counts the words in a string, and a "
        "main function that calls both."}},
      {"json",
       0,
       {"Write a JSON array of six people. Each has the keys name, age, city and email.",
        "Turn this into JSON with one object for each row and the keys id, product, price:\n\n1, lamp, "
        "20\n2, chair, 45\n3, table, 120\n4, shelf, "
        "60\n5, carpet, 80\n6, mirror, 35",
        "Write a JSON schema of an order with an id, a customer with name and address, and a list of items "
        "with name, price and quantity."}},
      {"chat",
       0,
       {"What is the difference between weather and climate?",
        "How do I learn to play the guitar as an adult?", "Explain to a child why the sky is blue.",
        "Which vegetables can I plant in a small garden in April?"}},
      {"prose",
       1,
       {"Tell me a story about a lighthouse keeper who finds a letter.",
        "Describe a market in a town by the sea at sunrise.",
        "Write the first page of a novel that begins in a train."}},
  };
  return kTexts;
}

}  // namespace troupe::bench
