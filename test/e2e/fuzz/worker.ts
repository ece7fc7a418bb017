/** Loads damaged model directories, one after the other, in a process that may die of it; one JSON line for each. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { BUNDLED_MODEL } from '../../support/bundled-model';
import { mutate } from './mutations';

/** What became of one directory. */
export interface Outcome {
  seed: number;
  description: string;
  altersGraph: boolean;
  /** 'loaded', or the name and code of the error. */
  result: string;
  message: string;
}

async function load(seed: number): Promise<Outcome> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-fuzz-'));
  try {
    cpSync(BUNDLED_MODEL, directory, { recursive: true });
    const mutation = mutate(directory, seed);
    try {
      (await Sam3TrackerModel.from_pretrained(directory, { device: 'cpu', dtype: 'float32' })).dispose();
      return { seed, ...mutation, result: 'loaded', message: '' };
    } catch (error) {
      const { name, message, code } = error as Error & { code?: string };
      return { seed, ...mutation, result: code ? `${name} ${code}` : name, message };
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await load(Number(line)))}\n`);
  }
}

void main();
