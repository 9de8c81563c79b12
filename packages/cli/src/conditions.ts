import { entryKinds, periods } from '@trialkeep/sdk/entries';
import type { Question } from '@trialkeep/sdk/entries';
import { outcomes } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { gatherFrom, parseTime } from './verb.ts';

/** The options of a question, as commander gives them. */
export type ConditionOptions = Omit<Question, 'kinds' | 'credential'> & {
  readonly kind?: NonNullable<Question['kinds']>;
  /** A credential: `--credential` would look like a place for a secret. */
  readonly issued?: string;
};

/** Adds the conditions that a question of the ledger can have. */
export function addConditions(verb: Command): Command {
  return addTimelessConditions(verb)
    .option('--from <time>', 'from this time on', parseTime)
    .option('--to <time>', 'up to this time', parseTime);
}

/** The same without times: for what is asked about every range anew. */
export function addTimelessConditions(verb: Command): Command {
  return verb
    .option('--subject <alias>', 'only about this subject')
    .option('--class <name>', 'only about this class of record')
    .option('--purpose <name>', 'only for this purpose')
    .option('--key <id>', 'only uses of this key')
    .option('--device <id>', 'only by this device: as the actor, the system or its key')
    .option('--operation <name>', 'only this operation, such as keys.decrypt-data-key')
    .addOption(new Option('--outcome <outcome>', 'only those that ended so').choices(outcomes))
    .addOption(
      new Option('--kind <kind>', `only of this kind, may be repeated (${entryKinds.join(', ')})`).argParser(
        gatherFrom(entryKinds),
      ),
    )
    .option('--study <id>', 'only about this study')
    .option('--system <id>', 'only about this system')
    .option('--actor <id>', 'only by this credential or person')
    .option('--approval <id>', 'only about this request for approval')
    .option('--person <id>', 'only about this person')
    .option('--issued <id>', 'only about this credential, as what was issued or revoked');
}

/** A time relative to the question's, for what is asked again and again. */
export const periodOption = (): Option =>
  new Option('--period <period>', "in place of times, relative to the server's, UTC").choices(periods);

/** What of a verb's options is the question. */
export function questionOf(options: ConditionOptions): Question {
  const { kind, issued: credential, ...others } = options;
  const rest = { ...others, credential };
  const names = [
    ...['subject', 'class', 'purpose', 'key', 'device', 'operation', 'outcome', 'study', 'system', 'actor'],
    ...['approval', 'person', 'credential', 'from', 'to', 'period'],
  ];
  const given = Object.entries(rest).filter(([name, value]) => names.includes(name) && value !== undefined);
  return { ...(Object.fromEntries(given) as Question), ...(kind !== undefined && { kinds: kind }) };
}
