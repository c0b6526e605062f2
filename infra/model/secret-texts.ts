/**
 * What no log and no message may show: the stack's secrets in every form in which programs print them. lib/redact.sh on the
 * server replaces these texts.
 */

/** Shorter values are left alone: to replace every `5432` or `on` would make logs unreadable and hide nothing. */
const SHORTEST = 6;

/** A Telegram token; the part after the colon is secret by itself. */
const TOKEN = /^[0-9]+:([\w-]{30,})$/;

/** The texts, the longest first. Lines of a value count one by one, as they do in a log. */
export function secretTexts(values: string[]): string[] {
  const lines = values.flatMap((value) => value.split(/[\r\n]+/).map((line) => line.trim()));
  const parts = lines.flatMap((line) => [line, TOKEN.exec(line)?.[1] ?? ""]);
  const texts = parts.filter((part) => part.length >= SHORTEST).flatMap(formsOf);
  return [...new Set(texts)].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
}

function formsOf(value: string): string[] {
  const text = value.toWellFormed();
  const encoded = percentEncoded(text);
  // The password is encoded in DATABASE_URL, which may itself be a part of another URL.
  return [
    text,
    ...encoded,
    ...encoded.map(encodeURIComponent),
    ...escapedInJson(text),
    ...asPythonShows(text),
  ];
}

/** As it stands in URLs. Encoders differ in which characters they leave as they are, and in the case of the digits. */
function percentEncoded(text: string): string[] {
  const most = encodeURIComponent(text);
  const all = most.replace(/[!'()*]/g, (character) => `%${hex(character.charCodeAt(0), 2).toUpperCase()}`);
  const forms = [most, all, all.replaceAll("%2F", "/"), all.replaceAll("%20", "+"), encodeURI(text)];
  return forms.flatMap((form) => [form, form.replace(/%../g, (digits) => digits.toLowerCase())]);
}

/** As JSON has it: of JavaScript and newer Python, with ASCII alone, of PHP, and of Go. */
function escapedInJson(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(/[^\0-\x7f]/g, inUnicode);
  return [json, ascii, ascii.replaceAll("/", "\\/"), json.replace(/[&<>]/g, inUnicode)];
}

/** As `repr()` has a text and its bytes, for instance in a traceback. */
function asPythonShows(text: string): string[] {
  const quoted = text.replaceAll("\\", "\\\\").replaceAll("\t", "\\t");
  // Between double quotes, which Python takes where there are only single ones inside, those stay.
  const shown = text.includes('"') ? quoted.replaceAll("'", "\\'") : quoted;
  const bytes = shown.replace(/[^\0-\x7f]+/g, (characters) =>
    [...Buffer.from(characters)].map((byte) => `\\x${hex(byte, 2)}`).join(""),
  );
  return [shown, bytes];
}

const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");
const inUnicode = (unit: string) => `\\u${hex(unit.charCodeAt(0), 4)}`;
