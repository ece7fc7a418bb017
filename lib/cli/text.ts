/** Text as the tool prints it: names come from files, repositories and servers, and a terminal obeys what they contain. */
import { isError } from '../core/kinds';

// Control characters, line and paragraph separators, what turns the direction of text, and halves of surrogate pairs.
const COMMANDS = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/gu;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A text of several lines without what a terminal obeys: as `\u001b`, which JSON reads as the same character. */
export function printable(text: string): string {
  return text.replace(COMMANDS, (character) => (character === '\n' ? character : escaped(character)));
}

/** A name that a file, a repository or the command line gave, for one line. */
export function printableName(name: string): string {
  return name.replace(COMMANDS, escaped);
}

/** What another program prints, with a line for each state of a progress bar that it draws over itself. */
export function linesOf(text: string): string {
  return text.replaceAll(/\r\n?/g, '\n');
}

/** A count with its noun, which takes an s unless the count is 1. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The message of an error for people at a command line, where every value was text. */
export function messageOf(error: unknown): string {
  const message = isError(error) ? error.message : String(error);
  return message.replace(/( but received .*?) of type \w+\./s, '$1.');
}
