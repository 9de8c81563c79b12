import { createHash } from 'node:crypto';
import { bytesOf } from './name.ts';
import { walk } from './walk.ts';
import type { NamedSource, Step, WalkOptions } from './walk.ts';

/**
 * What sources were when they were walked through, as one digest: names, kinds, modes, times, targets of links and the fingerprints of
 * files. While it stays the same, sealing them again would make the same tree, as far as the file system tells.
 */
export class SourceShape {
  readonly #hash = createHash('sha256');

  add(step: Step): void {
    // A name has no NUL, and neither has any other field: no two walks give the same bytes.
    this.#hash.update(bytesOf(`${fieldsOf(step).join('\0')}\0\0`));
  }

  /** Hexadecimal; once. */
  digest(): string {
    return this.#hash.digest('hex');
  }
}

function fieldsOf(step: Step): readonly (string | number | bigint | boolean)[] {
  switch (step.kind) {
    case 'folder':
      return [step.kind, step.place.name, step.mode, step.timeNs];
    case 'link':
      return [step.kind, step.place.name, step.timeNs, step.target];
    case 'file':
      return [step.kind, step.mode, Buffer.from(step.fingerprint ?? []).toString('hex')];
    case 'failed':
      return [step.kind, step.place.name, step.failure.failure];
    case 'end':
      return [step.kind, step.complete];
  }
}

/** @throws as `walk`; the signal's reason */
export async function shapeOf(
  sources: readonly NamedSource[],
  options: WalkOptions,
  signal: AbortSignal | undefined,
): Promise<string> {
  const shape = new SourceShape();
  for await (const step of walk(sources, options)) {
    signal?.throwIfAborted();
    shape.add(step);
  }
  return shape.digest();
}
