import type { ErrorText } from './errors.ts';

export type FindingCode =
  | 'bundle.malformed'
  | 'bundle.missing'
  | 'checkpoint.malformed'
  | 'checkpoint.missing'
  | 'checkpoint.origin'
  | 'checkpoint.root'
  | 'checkpoint.signature'
  | 'cosignature.false'
  | 'entry.dropped'
  | 'entry.edited'
  | 'entry.inserted'
  | 'entry.reordered'
  | 'entry.unlocated'
  | 'kept.origin'
  | 'kept.unusable'
  | 'log.extra_file'
  | 'log.forked'
  | 'log.pruned'
  | 'log.pruned_beyond'
  | 'log.truncated'
  | 'log.unproven'
  | 'policy.quorum'
  | 'tile.altered'
  | 'tile.missing';

/** A `failure` means that the log is not what was signed; a `warning` does not change the verdict. */
export type Severity = 'failure' | 'warning';

/** Everything that the verifier can find. docs/errors.md is generated from it. */
export const findingTexts: Readonly<Record<FindingCode, ErrorText & { readonly severity: Severity }>> = {
  'bundle.malformed': {
    severity: 'failure',
    message: 'the bundle does not end where its last entry ends; bytes were cut off or added',
    fix: 'Take the bundle from another copy of the log.',
  },
  'bundle.missing': {
    severity: 'failure',
    message: 'the entry bundle is missing; its entries could not be checked',
    fix: 'Take the bundle from another copy of the log.',
  },
  'checkpoint.malformed': {
    severity: 'failure',
    message: 'the checkpoint is not a signed note with origin, size and root hash',
    fix: 'Take the checkpoint from another copy of the log, unchanged.',
  },
  'checkpoint.missing': {
    severity: 'failure',
    message: 'there is no checkpoint',
    fix: 'Name the folder that holds the file "checkpoint" beside the folder "tile".',
  },
  'checkpoint.origin': {
    severity: 'failure',
    message: 'the checkpoint is of another log than the one that was asked for',
    fix: 'Use the export and the verifier key of one and the same log.',
  },
  'checkpoint.root': {
    severity: 'failure',
    message:
      'neither the tiles nor the entries give the root that the checkpoint signs; no entry can be located',
    fix: 'Compare with another copy of the log to find what was changed.',
  },
  'checkpoint.signature': {
    severity: 'failure',
    message: 'the checkpoint is not signed by the given key, or its signature does not verify',
    fix: 'Check that the verifier key belongs to this log; if it does, the checkpoint is forged.',
  },
  'cosignature.false': {
    severity: 'failure',
    message: 'these witnesses did not sign what stands under their names',
    fix: 'Take the checkpoint from another copy of the log; if it stays so, its cosignatures are forged.',
  },
  'entry.dropped': {
    severity: 'failure',
    message: 'committed to by the log, and not in its place any more',
    fix: 'Take the entry from another copy of the log.',
  },
  'entry.edited': {
    severity: 'failure',
    message: 'its bytes are not those that the log committed to',
    fix: 'Take the entry from another copy of the log.',
  },
  'entry.inserted': {
    severity: 'failure',
    message: 'at least one entry stands here that the log did not commit to in this place',
    fix: 'Disregard what was inserted.',
  },
  'entry.reordered': {
    severity: 'failure',
    message: 'genuine, and not in the order that the log committed to',
    fix: 'Take the order from another copy of the log.',
  },
  'entry.unlocated': {
    severity: 'failure',
    message: 'at least one was altered, and so was the tile that would say which',
    fix: 'Compare with another copy of the log to find what was changed.',
  },
  'kept.origin': {
    severity: 'failure',
    message: 'the kept checkpoint is of another log',
    fix: 'Pass the checkpoint that was kept for this log.',
  },
  'kept.unusable': {
    severity: 'failure',
    message: 'the kept checkpoint is not one that the given key has signed',
    fix: 'Pass the checkpoint as it was kept, and the key that signed it.',
  },
  'log.extra_file': {
    severity: 'warning',
    message: 'not part of the log under this checkpoint; it was not checked',
    fix: 'Do not rely on the file; ask the log for a newer checkpoint if it should cover it.',
  },
  'log.forked': {
    severity: 'failure',
    message:
      'the log does not begin with what the kept checkpoint signed: two histories were shown for one log',
    fix: 'Keep both checkpoints: together they prove that the log was rewritten.',
  },
  'log.pruned': {
    severity: 'warning',
    message: 'pruned, and so not checked; they lie below the minimum index that was given',
    fix: 'Take them from the archive that the log was pruned into.',
  },
  'log.pruned_beyond': {
    severity: 'failure',
    message: 'the log is shorter than the minimum index that was given',
    fix: 'Ask the log for its minimum index, which is never above its size.',
  },
  'log.truncated': {
    severity: 'failure',
    message: 'the log is shorter than the kept checkpoint: its end was cut off',
    fix: 'Keep both checkpoints, and ask for the log up to the size that was kept.',
  },
  'log.unproven': {
    severity: 'failure',
    message: 'the log could not be compared with the kept checkpoint, because tiles are altered or missing',
    fix: 'Verify again with a whole copy of the log.',
  },
  'policy.quorum': {
    severity: 'failure',
    message: 'fewer witnesses have cosigned the checkpoint than the policy asks for; these have not',
    fix: 'Ask the log for a checkpoint that more witnesses cosigned, or ask the witnesses what they have seen.',
  },
  'tile.altered': {
    severity: 'failure',
    message: 'its hashes do not lead to the signed root',
    fix: 'Take the tile from another copy of the log, or recompute it from the entries.',
  },
  'tile.missing': {
    severity: 'failure',
    message: 'missing',
    fix: 'Take the tile from another copy of the log, or recompute it from the entries.',
  },
};

/** What a finding is about. Entry indexes count from 0. */
export type FindingPlace = {
  /**
   * The first entry concerned. For `entry.inserted` the entry before which others stand, or the size of the
   * log at its end.
   */
  readonly index?: number;
  /** The last entry concerned, where there is a range. */
  readonly lastIndex?: number;
  /** The file concerned, relative to the log's prefix. */
  readonly path?: string;
  /** The witnesses concerned, as the policy names them. */
  readonly names?: readonly string[];
};

/** Something that is wrong with a log, in a sentence for a person. */
export type Finding = FindingPlace & {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly sentence: string;
};

/**
 * Collects findings in bounded memory: neighbours of one kind become one range, and beyond `limit` they are
 * only counted.
 */
export class Findings {
  /** How many findings were left out of `list()`. */
  omitted = 0;
  /** Whether any finding, listed or not, is a failure. */
  failed = false;
  readonly #limit: number;
  readonly #found: ({ code: FindingCode } & FindingPlace)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(code: FindingCode, place: FindingPlace = {}): void {
    if (findingTexts[code].severity === 'failure') this.failed = true;
    const last = this.#found.at(-1);
    if (last !== undefined && last.code === code && continues(last, place)) {
      this.#found[this.#found.length - 1] = { ...last, lastIndex: Math.max(endOf(last), endOf(place)) };
    } else if (this.#found.some((known) => known.code === code && covers(known, place))) {
      return;
    } else if (this.#found.length < this.#limit) {
      this.#found.push({ code, ...place });
    } else {
      this.omitted++;
    }
  }

  list(): Finding[] {
    return this.#found.map((found) => ({
      ...found,
      severity: findingTexts[found.code].severity,
      sentence: sentenceOf(found),
    }));
  }
}

function endOf({ index = 0, lastIndex = index }: FindingPlace): number {
  return lastIndex;
}

/** Whether `next` begins inside `last` or right behind it, and both name entries and no file. */
function continues(last: { code: FindingCode } & FindingPlace, next: FindingPlace): boolean {
  if (last.index === undefined || next.index === undefined || last.code === 'entry.inserted') return false;
  if (last.path !== undefined || next.path !== undefined) return false;
  return next.index >= last.index && next.index <= endOf(last) + 1;
}

/** Whether what `place` says is said by `known` already. */
function covers(known: FindingPlace, { path, index, lastIndex = index }: FindingPlace): boolean {
  if (known.path !== path || known.index === undefined || index === undefined) {
    return known.path === path && known.index === index;
  }
  return known.index <= index && endOf(known) >= (lastIndex ?? index);
}

/**
 * What the finding is about and what is wrong with it; findings about the whole log say both in their
 * message.
 */
function sentenceOf(found: { code: FindingCode } & FindingPlace): string {
  const { code, index, path, names } = found;
  const { message } = findingTexts[code];
  if (names !== undefined) return `${capitalised(message)}: ${names.join(', ')}.`;
  if (index === undefined && path === undefined) return `${capitalised(message)}.`;
  if (index === undefined) return `${JSON.stringify(path)}: ${message}.`;
  const last = endOf(found);
  const entries = last === index ? `entry ${index}` : `entries ${index} to ${last}`;
  if (path !== undefined) return `${path} (${entries}): ${message}.`;
  return `${capitalised(code === 'entry.inserted' ? `before ${entries}` : entries)}: ${message}.`;
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
