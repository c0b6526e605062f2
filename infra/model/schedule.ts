const [MINUTE, DAY] = [60, 86_400];
/** Days after which weekdays and leap years come again as they were. */
const CYCLE = 28 * 365 + 7;
const WEEK = 7;
const START = Date.UTC(2024, 0, 1);

/** The values of a field of cron's: `*`, lists, ranges and steps. */
function valuesOf(field: string, least: number, most: number): Set<number> {
  const values = field.split(",").flatMap((part) => {
    const [, from, to, step] = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part) ?? [];
    const first = Number(from ?? least);
    const last = Number(to ?? (from === undefined || step !== undefined ? most : from));
    const count = Math.floor((last - first) / Number(step ?? 1)) + 1;
    return Array.from({ length: Math.max(0, count) }, (_, index) => first + index * Number(step ?? 1));
  });
  return new Set(values);
}

/** Whether cron runs something on a day. Where both fields for days are restricted, either is enough. */
function dayMatcher([, , dayOfMonth = "*", month = "*", dayOfWeek = "*"]: string[]): (day: Date) => boolean {
  const [dates, months, weekdays] = [
    valuesOf(dayOfMonth, 1, 31),
    valuesOf(month, 1, 12),
    valuesOf(dayOfWeek, 0, 7),
  ];
  if (weekdays.has(7)) weekdays.add(0);
  const eitherIsEnough = !dayOfMonth.startsWith("*") && !dayOfWeek.startsWith("*");
  return (day) => {
    const [isDate, isWeekday] = [dates.has(day.getUTCDate()), weekdays.has(day.getUTCDay())];
    return months.has(day.getUTCMonth() + 1) && (eitherIsEnough ? isDate || isWeekday : isDate && isWeekday);
  };
}

/**
 * The longest time in seconds between two runs that follow each other, on days of 24 hours.
 *
 * @param schedule five fields of cron's, as the schema accepts them
 */
export function longestGap(schedule: string): number {
  const fields = schedule.split(" ");
  const hours = [...valuesOf(fields[1] ?? "*", 0, 23)];
  const minutes = [...valuesOf(fields[0] ?? "*", 0, 59)];
  const times = hours.flatMap((hour) => minutes.map((minute) => (hour * 60 + minute) * MINUTE));
  times.sort((one, other) => one - other);
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  let longest = Math.max(0, ...times.map((time, index) => time - (times[index - 1] ?? time)));
  const matches = dayMatcher(fields);
  const cycle = fields[2] === "*" && fields[3] === "*" ? WEEK : CYCLE;
  const days = Array.from({ length: cycle }, (_, day) => day).filter((day) =>
    matches(new Date(START + day * DAY * 1000)),
  );
  days.forEach((day, index) => {
    const next = days[index + 1] ?? (days[0] ?? 0) + cycle;
    longest = Math.max(longest, (next - day) * DAY + first - last);
  });
  return days.length === 0 ? cycle * DAY : longest;
}
