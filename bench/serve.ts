/** The worker's end of peer.ts: answers calls until the input ends. */
import { createInterface } from 'node:readline';

/** A function that a peer can call by its name; its result must be fit for JSON. */
export type Method = (args: never) => unknown;

/** Answers one JSON object a line, one after the other, in the form of test/support/reference.py. */
export async function serve(methods: Record<string, Method>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const { method, args } = JSON.parse(line) as { method: string; args: never };
    process.stdout.write(`${JSON.stringify(await answer(methods[method], method, args))}\n`);
  }
}

async function answer(run: Method | undefined, name: string, args: never): Promise<object> {
  if (!run) return { error: { type: 'TypeError', message: `no method ${name}` } };
  try {
    return { result: (await run(args)) ?? null };
  } catch (error) {
    const { name: type, stack } = error as Error;
    return { error: { type, message: stack } };
  }
}
