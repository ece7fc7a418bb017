/** What the commands' options are parsed by. */
import { InvalidArgumentError } from 'commander';
import { checkDevice } from '../core/device';

/** A finite number. @throws InvalidArgumentError for anything else. */
export function parseNumber(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError('Expected a number.');
  return value;
}

/** A number of at least 0. @throws InvalidArgumentError for anything else. */
export function parseArea(text: string): number {
  const value = parseNumber(text);
  if (value < 0) throw new InvalidArgumentError('Expected a number of at least 0.');
  return value;
}

/** A number from 0 to 1. @throws InvalidArgumentError for anything else. */
export function parsePart(text: string): number {
  const value = parseNumber(text);
  if (value < 0 || value > 1) throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return value;
}

/** A whole number of at least 1. @throws InvalidArgumentError for anything else. */
export function parseCount(text: string): number {
  const value = parseNumber(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return value;
}

/** A whole number of at least 0. @throws InvalidArgumentError for anything else. */
export function parseWhole(text: string): number {
  return parseNumber(text) === 0 ? 0 : parseCount(text);
}

/** A parser like `parse` that takes numbers up to `most` only. It throws InvalidArgumentError for others. */
export function atMost(most: number, parse: (text: string) => number): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (value > most) throw new InvalidArgumentError(`Expected at most ${most}.`);
    return value;
  };
}

/** A device as `checkDevice` knows it. @throws InvalidArgumentError for anything else. */
export function parseDeviceOption(text: string): string | number {
  try {
    return checkDevice(/^\d+$/.test(text) ? Number(text) : text, '--device');
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
