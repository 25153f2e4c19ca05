/** Numbers as people read them. @module */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Three figures that count: 4.20, 42.0, 420. */
function figures(value) {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @returns {[string, string]} the number and its unit */
export function bytesInParts(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const whole = unit === 0 || Number.isInteger(value);
  return [whole ? String(Math.round(value)) : figures(value), units[unit] ?? ''];
}

/** `64 MiB`. */
export function bytes(count) {
  return bytesInParts(count).join(' ');
}

/** `12,345`. */
export function count(value) {
  return Math.round(value).toLocaleString('en');
}

/** `1 reference`, `2 references`. */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** `0.42 s`, `3 min 20 s`. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `4,096 – 8,191`, both inclusive. */
export function range(first, last) {
  return `${first.toLocaleString('en')} – ${last.toLocaleString('en')}`;
}
