// Ranks the results of a search: a name that is the word searched for comes first, then names that hold it, then pages.
var Scorer = {
  score: ([, title, anchor, , score]) => {
    const wanted = new URLSearchParams(location.search).get("q").trim().toLowerCase();
    const name = title.split("::").pop().toLowerCase();
    return anchor && name === wanted ? score + 100 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
