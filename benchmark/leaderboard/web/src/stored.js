// The figures of results that have more than scores: pairs of groups, components of variance, answers, depth, maps.
import { answerFigures } from "./answers.js";
import { depthFigures } from "./depth.js";
import { mapFigures } from "./maps.js";
import { pairFigures } from "./pairs.js";
import { varianceFigures } from "./variance.js";

/** The figures of an encoder's results. `of` tells their ids from others'. */
export function resultFigures(context, results, width, of) {
  return [pairFigures, varianceFigures, answerFigures, depthFigures, mapFigures].map((figures) => figures(context, results, width, of));
}
