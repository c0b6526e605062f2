/** Figures that were measured elsewhere, as neither Kamal nor Uncloud can be had from the package registries. */
export const QUOTED = {
  note: "Medians of three rounds on one idle machine under the same load, measured elsewhere in 2026-11. The rows of Swarm are there for comparison with those above.",
  releases: {
    head: [
      ...["", "answers, s", "ends, s", "failed requests", "slowest, s", "409s"],
      ...["rollback, s", "nothing to do, s"],
    ],
    rows: [
      [
        "Kamal 2.12 deploy (build and push)",
        5.2,
        6.2,
        "0 of 285",
        0.06,
        "2 each time",
        3.1,
        "6.0, restarts the bot",
      ],
      ["Kamal 2.12 redeploy, no build", 4.0, 4.5, "0 of 225", 0.46, 2, 3.2, ""],
      ["Uncloud 0.20, start-first, no build", 2.5, 3.0, "0 of 195", 0.15, 2, 2.1, 0.38],
      ["Uncloud 0.20, stop-first", 2.7, 2.9, "at least 24 of 188", 0.07, 0, 2.6, 0.36],
      ["Swarm, start-first", 2.6, 12.6, "0 of 431", 0.07, 4, 2.5, 0.3],
      ["Swarm, stop-first, holding Caddy", 8.2, 16.4, "0 of 524", 6.0, 0, 7.7, 0.35],
    ],
  },
  broken: {
    head: ["", "crash at import: ends, s", "slowest, s", "/health 500: ends, s", "slowest, s", "409s"],
    rows: [
      ["Kamal 2.12", "34 to 36", 0.05, "34 to 36", 0.26, 31],
      ["Uncloud 0.20", 5.8, 0.09, 22, 0.19, 21],
      ["Swarm", "12 to 19, exit status 0", "", "", "", ""],
    ],
  },
};
