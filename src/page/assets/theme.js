/** Colours from the style sheet, for what is drawn by script. @module */

const dark = matchMedia('(prefers-color-scheme: dark)');

/** The value of a custom property, as the style sheet has it now. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Calls back when light has become dark, or dark light. */
export function onThemeChange(callback) {
  dark.addEventListener('change', callback);
}

const still = matchMedia('(prefers-reduced-motion: reduce)');

/** Whether nothing should move that need not. */
export function wantsStillness() {
  return still.matches;
}
