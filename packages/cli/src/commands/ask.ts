import { operations } from '@trialkeep/sdk/client';
import { recomputeAnswer, recomputeFindingTexts } from '@trialkeep/sdk/entries';
import type { RecomputeResult } from '@trialkeep/sdk/entries';
import type { Command } from 'commander';
import { askLedger, writeAnswer, writeForPeople, writeFormat } from '../answers.ts';
import { addConditions, periodOption, questionOf } from '../conditions.ts';
import type { ConditionOptions } from '../conditions.ts';
import { addEntryOutput, withOutput } from '../entry-output.ts';
import type { EntryOutputOptions } from '../entry-output.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { isoTime, list, print, printable, say, table } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { startProgress } from '../progress.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, addVerb, gather, parseInteger } from '../verb.ts';

interface AskOptions extends SessionOptions, ConditionOptions, EntryOutputOptions {
  readonly saved?: string;
  readonly size?: number;
}

interface RecomputeCommandOptions extends OutputOptions {
  readonly export: string;
  readonly key: readonly string[];
}

/** Questions of the ledger whose answers can be recomputed: asking, checking, and those that are kept. */
export function registerAsk(ledger: Command, io: Io): void {
  registerAnswer(ledger, io);
  registerRecompute(ledger, io);
  registerSaved(ledger, io);
}

function registerAnswer(ledger: Command, io: Io): void {
  const ask = addServerVerb(ledger, 'ask', operations['questions.answer'].summary);
  addEntryOutput(addConditions(ask))
    .addOption(periodOption())
    .option('--saved <id>', 'a saved question, in place of conditions')
    .option(
      '--size <number>',
      'as of an earlier checkpoint of this size',
      parseInteger(1, Number.MAX_SAFE_INTEGER),
    )
    .addHelpText(
      'after',
      '\nWith --out or --json and no --format, the answer as one document (docs/formats/answer.md), which\n' +
        'trialkeep ledger recompute compares with an export of the ledger.',
    )
    .action(async (options: AskOptions) => {
      const { client } = await connect(io, options);
      const { saved, size, format, out, json } = options;
      const answer = await askLedger(client, {
        ...questionOf(options),
        ...(saved !== undefined && { saved }),
        ...(size !== undefined && { size }),
      });
      const count = await withOutput(io, options, async (write) => {
        if (format !== undefined) return writeFormat(answer, format, write);
        if (out !== undefined || json === true) return writeAnswer(answer, write);
        return writeForPeople(answer, write);
      });
      const { bound } = answer.head;
      if (out !== undefined || format !== undefined)
        say(io, options, `${count} entries; complete up to size ${bound.size} of ${bound.origin}.`);
    });
}

function registerRecompute(ledger: Command, io: Io): void {
  addVerb(ledger, 'recompute <answer>', 'make an answer again from an exported ledger, offline, and compare')
    .requiredOption('--export <folder>', 'an export of the ledger, at least as long as the answer')
    .requiredOption('--key <vkey>', "the log's verifier key, from a trusted place; may be repeated", gather)
    .addHelpText('after', '\nExit status 0 only where the export verifies and gives exactly this answer.')
    .action(async (path: string, options: RecomputeCommandOptions) => {
      const progress = await startProgress(io, options, 'scanning', 'entries');
      const recomputing = recomputeAnswer({
        answer: path,
        folder: options.export,
        verifierKey: options.key,
        onProgress: (done, total) => {
          io.signal.throwIfAborted();
          progress.update(done, total);
        },
      });
      const result = await recomputing.finally(() => progress.stop());
      const { verdict, head, confirmed, findings, findingsOmitted } = result;
      const { checkpoint: _checkpoint, ...bound } = head.bound;
      const shown = { verdict, asked: head.asked, bound, confirmed, findings, findingsOmitted };
      await print(io, options, shown, () => report(result));
      if (verdict !== 'same') throw new Exit(1);
    });
}

function report({ verdict, head, confirmed, findings, findingsOmitted, log }: RecomputeResult): string {
  const lines: string[] = [
    verdict === 'same'
      ? 'same: the scan gives exactly this answer'
      : 'different: this is not the answer of the log',
    `${confirmed} entries stand in the log as in the answer, up to size ${head.bound.size} of ${head.bound.origin}`,
  ];
  for (const { code, index } of findings) {
    lines.push(`${index === undefined ? '' : `entry ${index} `}${recomputeFindingTexts[code]} [${code}]`);
  }
  if (findingsOmitted > 0) lines.push(`and ${findingsOmitted} more findings.`);
  if (log.verdict !== 'verified')
    lines.push(...log.findings.map(({ sentence, code }) => `${sentence} [${code}]`));
  return printable(lines.join('\n'));
}

function registerSaved(ledger: Command, io: Io): void {
  const noun = ledger.command('question').description('saved questions: save, list, show, remove');
  const save = addServerVerb(noun, 'save', operations['questions.save'].summary);
  addConditions(save)
    .addOption(periodOption())
    .requiredOption('--name <name>', 'the name of the question, which everybody who reads the ledger sees')
    .action(async (options: SessionOptions & ConditionOptions & { readonly name: string }) => {
      const { client } = await connect(io, options);
      const input = { name: options.name, question: questionOf(options) };
      const saved = await client.call('questions.save', input);
      await print(io, options, saved, () => `Saved. Ask it with: trialkeep ledger ask --saved ${saved.id}`);
    });

  addServerVerb(noun, 'list', operations['questions.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const result = await client.call('questions.list', {});
      await print(io, options, result, () =>
        table(
          ['id', 'name', 'owner', 'saved'],
          result.questions.map(({ id, name, owner, createdAt }) => [id, name, owner, isoTime(createdAt)]),
        ),
      );
    },
  );

  addServerVerb(noun, 'show <id>', operations['questions.show'].summary).action(
    async (saved: string, options: SessionOptions) => {
      const { client } = await connect(io, options);
      const found = await client.call('questions.show', { saved });
      const { id, name, owner, question, createdAt } = found;
      await print(io, options, found, () =>
        list({ id, name, owner, saved: isoTime(createdAt), question: JSON.stringify(question) }),
      );
    },
  );

  addServerVerb(noun, 'remove <id>', operations['questions.remove'].summary).action(
    async (saved: string, options: SessionOptions) => {
      const { client } = await connect(io, options);
      const removed = await client.call('questions.remove', { saved });
      await print(io, options, removed, () => printable(`The question ${removed.name} is removed.`));
    },
  );
}
