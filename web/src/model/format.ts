/**
 * Words and marks made from values: initials, colours, lists of names, times.
 */

/** Up to two letters that stand for a name; a single bullet when it has none. */
export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const first = firstLetter(words[0]);
  const last = words.length > 1 ? firstLetter(words.at(-1)) : '';
  return first + last === '' ? '•' : (first + last).toLocaleUpperCase();
}

function firstLetter(word: string | undefined): string {
  return word === undefined ? '' : (/[\p{L}\p{N}]/u.exec(word)?.[0] ?? '');
}

/** How many colour families the style sheet has for people without a picture. */
export const TINTS = 8;

/** The same person has the same colour in everybody's window. */
export function tint(identity: string): number {
  let hash = 2166136261;
  for (const character of identity) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619);
  return (hash >>> 0) % TINTS;
}

/** `Ana`, `Ana and Bo`, `Ana, Bo and 3 others`. */
export function listNames(names: readonly string[]): string {
  const [first = '', second = ''] = names;
  if (names.length <= 1) return first;
  if (names.length === 2) return `${first} and ${second}`;
  const rest = names.length - 2;
  return `${first}, ${second} and ${rest} ${rest === 1 ? 'other' : 'others'}`;
}

/** Hours and minutes as people of this place write them. */
export function clockTime(at: number, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' }).format(at);
}

/** A count for a badge. */
export function badge(count: number): string {
  return count > 99 ? '99+' : String(count);
}
