// The text that quality is measured on when none is given: written for this purpose.
#include "services/bench/engine/quality.hpp"

namespace troupe::bench {

std::string_view default_quality_text() {
  return R"text(The market opened before the sun had cleared the roofs. A woman in a grey coat set out boxes of apples in rows, the
red ones in front, because people buy with their eyes first and with their hands second. Beside her an old man unfolded a
table and laid on it eleven clocks, none of which showed the same time. When a child asked him which of them was right, he
said that each of them was right twice a day, and that this was more than most people could say of themselves.

In 1854 a physician named John Snow drew a map of a London district and marked every death from cholera with a short black
line. The lines crowded around one water pump in Broad Street. He persuaded the parish to take away the handle of the pump,
and within days the number of new cases fell. The map is remembered as one of the first times that data, and not opinion,
decided what a city did about a disease.

To make bread you need only four things: flour, water, salt and yeast. Mix 500 grams of flour with 350 grams of water and
let it rest for half an hour. Add 10 grams of salt and 3 grams of dry yeast, and knead the dough until it is smooth. Cover
it and let it rise for two hours, or until it has doubled. Shape a loaf, let it rise once more, and bake it at 230 degrees
for about 35 minutes. The loaf is done when it sounds hollow as you knock on its base.

"Did you lock the door?" she asked.
"I thought you had."
"I thought you had thought so." She put down her bag. "Then we had better go back."
They walked up the hill again without a word. The door stood open, the lamp was lit, and in the chair by the stove sat the
neighbour's cat, looking at them as though they were late.

def mean_and_variance(values):
    """Return the mean and the population variance of a non-empty list of numbers."""
    count = 0
    mean = 0.0
    total = 0.0
    for value in values:
        count += 1
        delta = value - mean
        mean += delta / count
        total += delta * (value - mean)
    if count == 0:
        raise ValueError("mean_and_variance() needs at least one value")
    return mean, total / count

The planets of the solar system, in order of their distance from the sun:
1. Mercury
2. Venus
3. Earth
4. Mars
5. Jupiter
6. Saturn
7. Uranus
8. Neptune

A river does not run downhill because it wants to reach the sea. Every drop moves to the lowest place beside it, and the sea
is what all these small steps add up to. Much of what looks like purpose in the world is of this kind: many parts, each of
which follows a rule that knows nothing of the whole. The difficulty lies in the other direction. If we see only the river,
it is hard to find the rule of the drop; and if we know only the rule, it is hard to imagine the river.
)text";
}

}  // namespace troupe::bench
