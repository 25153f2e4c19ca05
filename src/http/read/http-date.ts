const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const shortDay = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const longDay = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)';
const month = `(?<month>${months.join('|')})`;
const time = '(?<hour>[0-9]{2}):(?<minute>[0-9]{2}):(?<second>[0-9]{2})';

// RFC 9110 5.6.7: the preferred form first, then the two obsolete ones that a recipient must accept.
const forms = [
  new RegExp(`^${shortDay}, (?<day>[0-9]{2}) ${month} (?<year>[0-9]{4}) ${time} GMT$`),
  new RegExp(`^${longDay}, (?<day>[0-9]{2})-${month}-(?<year>[0-9]{2}) ${time} GMT$`),
  new RegExp(`^${shortDay} ${month} (?<day>[0-9]{2}| [0-9]) ${time} (?<year>[0-9]{4})$`),
];

type Groups = Readonly<Record<string, string>>;

/**
 * Reads an HTTP-date in any of its three forms (RFC 9110 5.6.7), to the letter: names are case-sensitive and no white
 * space is added or left out. The day of the week must be a day's name and is not compared with the date.
 *
 * @param text the field's value without surrounding white space
 * @param now decides the century of a two-digit year
 * @returns undefined for anything else, including days and times that no calendar has
 */
export function parseHttpDate(text: string, now: Date = new Date()): Date | undefined {
  for (const form of forms) {
    const groups = form.exec(text)?.groups;
    if (groups !== undefined) return readDate(groups, now);
  }
  return undefined;
}

function readDate(groups: Groups, now: Date): Date | undefined {
  const { year = '' } = groups;
  return year.length === 2 ? readShortYear(Number(year), groups, now) : dateInYear(Number(year), groups);
}

// RFC 9110 5.6.7: a two-digit year that appears to be more than 50 years ahead is the latest such year in the past.
function readShortYear(twoDigits: number, groups: Groups, now: Date): Date | undefined {
  const horizon = new Date(now);
  horizon.setUTCFullYear(horizon.getUTCFullYear() + 50);
  const nextCentury = (Math.floor(now.getUTCFullYear() / 100) + 1) * 100;
  for (const century of [nextCentury, nextCentury - 100]) {
    const date = dateInYear(century + twoDigits, groups);
    if (date !== undefined && date <= horizon) return date;
  }
  return dateInYear(nextCentury - 200 + twoDigits, groups);
}

function dateInYear(year: number, groups: Groups): Date | undefined {
  const day = Number(groups.day);
  const hour = Number(groups.hour);
  const minute = Number(groups.minute);
  const second = Number(groups.second);
  // RFC 9110 5.6.7: 60 is a leap second. Date has none, so it becomes the next minute's first.
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const date = new Date(0);
  // Date.UTC would take the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, months.indexOf(groups.month ?? ''), day);
  if (date.getUTCDate() !== day) return undefined;
  date.setUTCHours(hour, minute, second);
  return date;
}
