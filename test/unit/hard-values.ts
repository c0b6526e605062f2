/** Values that programs print in different ways, or that mean something in a pattern or a replacement. */
export const HARD = [
  "p[a]s*s.w^o$r|d",
  "a/b\\c&d+e?f{2}(g)",
  'it\'s "quoted" & <so> on',
  "it's a secret",
  'say "friend"',
  "tab\tand blanks  inside",
  "Grüße aus Köln – 50 %",
  "\\|\\(nothing\\)\\1",
  "https://hooks.example.org/T0/B0?x=1&y=a b#c",
  "[secret]s",
];
